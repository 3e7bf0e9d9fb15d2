"""The figures of a viewer's record, and when they are meaningless."""

from dataclasses import replace

import pytest
from record import Judged, Record, Returned
from stream import stream_of

WINDOW = (101.0, 103.0)


def steady_record(latency_s: float = 0.07, result_ms: float = 20.0) -> Record:
    """150 frames at 30 fps from 100 s on, each returned after `latency_s`; a result for every third, all scored."""
    sent_s = [100.0 + number / 30 for number in range(150)]
    return Record(
        pictures=40,
        sent_s=sent_s,
        returned=[Returned(at_s + latency_s, number, 1000, number % 40) for number, at_s in enumerate(sent_s)],
        judged=[
            Judged(
                at_s=at_s + result_ms / 1e3 + 0.01,
                number=number,
                latency_ms=result_ms,
                faces=1,
                scored=True,
                state="real",
                dropped_samples=0,
                error=None,
            )
            for number, at_s in enumerate(sent_s)
            if number % 3 == 0
        ],
    )


def test_rates_and_latencies_of_a_steady_stream():
    stream = stream_of(steady_record(), WINDOW, judged=True)
    assert stream.void == ()
    assert stream.returned_hz == pytest.approx(30, abs=0.5)
    assert stream.returned_kbps == pytest.approx(240, abs=4)
    assert stream.round_trip_ms == pytest.approx(70)
    assert stream.result_ms == pytest.approx(20)


@pytest.mark.parametrize(("result_ms", "age_ms"), [(20, 100 / 3 + 70), (33, 100 / 3 + 70), (34, 200 / 3 + 70)])
def test_a_score_is_seen_on_the_first_picture_sent_after_it_was_there(result_ms: float, age_ms: float):
    stream = stream_of(steady_record(result_ms=result_ms), WINDOW, judged=True)
    assert stream.score_age_ms == pytest.approx(age_ms)


def spoilt(change: str) -> Record:
    record = steady_record()
    match change:
        case "sender":
            record.sent_s = [100.0 + number / 10 for number in range(150)]
            record.judged.clear()
            record.returned.clear()
        case "counter":
            record.returned[40] = replace(record.returned[40], counter=7)
        case "too soon":
            record.judged[15] = replace(record.judged[15], latency_ms=500)
        case "idle":
            del record.judged[::2]
        case "faceless":
            record.judged = [replace(each, faces=0) for each in record.judged]
        case "unscored":
            record.judged = [replace(each, scored=False) for each in record.judged]
        case "failed":
            record.judged[15] = replace(record.judged[15], error="analysis unavailable")
    return record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("sender", "itself sent"),
        ("counter", "contradict"),
        ("too soon", "sooner"),
        ("idle", "results a second"),
        ("faceless", "a face in 0%"),
        ("unscored", "scores a second"),
        ("failed", "analysis unavailable"),
    ],
)
def test_figures_of_a_server_that_did_not_do_its_work_are_void(change: str, reason: str):
    void = stream_of(spoilt(change), WINDOW, judged=True).void
    assert any(reason in each for each in void)


def test_an_echo_is_not_asked_for_results():
    record = steady_record()
    record.judged.clear()
    assert stream_of(record, WINDOW, judged=False).void == ()
