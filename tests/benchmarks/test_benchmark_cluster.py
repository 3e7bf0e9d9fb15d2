"""The computations of the cluster's benchmark."""

from dataclasses import replace

from cluster import MAX_CPU_RATIO, kill_figures, load_figures, parse, plan
from cluster_kills import Recoveries
from cluster_load import ClusterLoad
from cluster_wire import Wire

ONE = ClusterLoad(cpu=0.05, head_cpu=0.05, ray_cpu=0, missed=0, rows_s=1.5, worker_rss_mb=400, void=())
TWO = replace(ONE, cpu=0.055, head_cpu=0.001, ray_cpu=0.1, worker_rss_mb=350)
FOUR = replace(TWO, cpu=0.06, missed=2, worker_rss_mb=340, void=("4 workers: camera1 got 11.0 fps",))


def test_ratios_are_to_one_process_and_void_where_frames_were_missing():
    figures = {figure.key: figure for figure in load_figures({0: ONE, 2: TWO, 4: FOUR})}
    two, four = figures["cpu_per_camera_ratio_2_workers"], figures["cpu_per_camera_ratio_4_workers"]
    assert round(two.value, 6) == 1.1 <= MAX_CPU_RATIO
    assert two.met
    assert four.void == FOUR.void
    assert not four.met
    assert figures["missed_samples"].value == 2
    assert not figures["missed_samples"].met


def test_recovery_is_reported_by_its_median_and_its_worst():
    figures = {figure.key: figure for figure in kill_figures(Recoveries([4.0, 9.0, 5.0], [6.0, 16.0, 7.0], 8.0))}
    assert figures["recover_worker_s_median"].value == 5.0
    assert figures["recover_worker_s_worst"].value == 9.0
    assert figures["recover_worker_s_worst"].met
    assert figures["recover_head_s"].value == 8.0
    assert figures["recover_node_s_worst"].value == 16.0
    assert not figures["recover_node_s_worst"].met


def test_a_plan_names_what_breaks_first():
    weighed = Wire(bytes_per_camera_hour=3_600_000, messages_per_camera_hour=36_000)  # 1 kB/s
    small, large = (plan(cameras, TWO, weighed) for cameras in (1_000, 10_000))
    assert (small.nodes, large.nodes) == (5, 49)  # 0.054 processors per camera, of 11.2 of a node
    assert (small.head_cores, large.head_cores) == (1.0, 10.0)
    assert (small.head_mbit_s, large.head_mbit_s) == (8.0, 80.0)
    assert (small.database_rows_s, large.database_rows_s) == (1_500, 15_000)
    assert small.breaks_first == "the head's process (one processor), at 1,000 cameras"
    slow = plan(1_000, TWO, Wire(bytes_per_camera_hour=3_600_000_000, messages_per_camera_hour=1))
    assert slow.breaks_first == "the head's network, at 125 cameras"


def test_the_default_is_compared_between_releases():
    options = parse([])
    assert (options.cameras, options.kills) == (24, 10)
