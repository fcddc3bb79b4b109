# SPDX-License-Identifier: Apache-2.0
"""All attacks, by the rows of the list of threats, and what is proved elsewhere. Start at ATTACKS."""

from __future__ import annotations

from tests.files.attacks import bounds, damage, objects, outside, work
from tests.files.attacks.attack import Attack
from tests.files.attacks.packing import CARRIERS

ATTACKS: list[Attack] = [*objects.ATTACKS, *outside.ATTACKS, *bounds.ATTACKS, *damage.ATTACKS, *work.ATTACKS]
# Every row there is: C code and objects, R files read by files, P paths and archives, B bounds, K damage.
ROWS = (
    "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8",
    "P1", "P2", "P3", "P4", "P5", "P6", "B1", "B2", "B3", "B4", "B5", "B6", "K1", "K2", "K3", "K4",
)  # fmt: skip
# Rows, or parts of them, that tests of their own prove: "file::test".
ELSEWHERE = {
    "C4": ("tests/files/test_attack_names.py::test_what_each_position_can_name",
        "tests/files/test_keras_v3.py::test_every_public_name_as_a_function_of_a_layer"),
    "C8": ("tests/files/test_keras_v3.py::test_builtins_are_not_replaced_by_what_was_registered",),
    "C12": ("tests/files/test_fuzz.py::test_damaged_files_load_or_are_refused",),
    "P6": (
        "tests/files/test_downloads.py::test_what_comes_wrong_leaves_the_old_file_and_nothing_else",
        "tests/files/test_downloads.py::test_half_files_answers_that_say_no_and_no_answer",
        "tests/files/test_downloads.py::test_a_redirection_leads_to_no_file", "tests/files/test_downloads.py::test_many_at_once_get_it_once",
        "tests/files/downloads/test_hostile_servers.py::test_an_answer_that_does_not_fit_is_not_joined",
        "tests/files/downloads/test_hostile_servers.py::test_a_body_longer_than_announced_is_not_read_on",
        "tests/files/downloads/test_resumed.py::test_a_killed_download_is_gone_on_with",
    ),
    "B3": ("tests/datasets/test_damage.py::test_arrays_that_lie", "tests/test_datasets_official.py::test_nothing_that_a_data_set_holds_is_run"),
    "B6": ("tests/files/test_attack_names.py::test_time_is_linear",),
    "K2": ("tests/files/test_weights.py::test_every_flipped_bit_of_a_number_is_seen",),
    "K3": ("tests/files/test_weights.py::test_all_or_nothing", "tests/files/test_weights.py::test_formats_with_names_are_all_or_nothing"),
    "K4": ("tests/files/test_attack_names.py::test_a_file_that_is_replaced_while_it_is_read",),
}  # fmt: skip


def doors_of(attack: Attack) -> tuple[str, ...]:
    """The doors of an attack, as "kind of file:function"."""
    return attack.doors or tuple(f"{kind}:{door}" for kind, doors in CARRIERS[attack.carrier].items() for door in doors)
