"""The mailbox keeps the newest frame, counts replaced ones, and is empty once closed."""

import threading
from queue import Queue

from stream_detect.analysis.sampler import Mailbox
from tests.patience import PATIENCE_S


def test_a_mailbox_hands_over_between_threads_and_counts_what_it_replaced():
    mailbox = Mailbox()
    taken = Queue()

    def taker():
        while (item := mailbox.take()) is not None:
            taken.put(item)

    thread = threading.Thread(target=taker)
    thread.start()
    for number in range(1, 2001):
        mailbox.put(number)
    received = []
    while not received or received[-1] != 2000:
        received.append(taken.get(timeout=PATIENCE_S))
    mailbox.close()
    mailbox.put(2001)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert received == sorted(received)
    assert len(received) + mailbox.replaced == 2000
    assert mailbox.closed


def test_a_closed_mailbox_keeps_nothing():
    mailbox = Mailbox()
    mailbox.put("frame")
    mailbox.close()
    mailbox.close()
    assert mailbox.take() is None
    assert mailbox.replaced == 0
