"""What a trainer is asked, and the files that lie ready for it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from dlkd_core.spec import TransferFile
from registry.claims import Claim
from registry.errors import FileMissing
from registry.store import Store
from registry.uploads import CHECKS
from tests.worker.conftest import Workshop
from worker.inputs import clear, prepare
from worker.kit import Kit
from worker.wire import Check, Distill

GIBIBYTE = 2**30


@pytest.fixture
def remote(tmp_path: Path) -> Store:
    """A store that is no local folder, as S3 is."""
    return Store("memory:///", scratch=tmp_path / "incoming")


def check_of(digest: str, filename: str = "images.zip", **facts: Any) -> Claim:
    return Claim(
        "job_1", "check_dataset", 1, "worker_0", CHECKS, {}, {"dataset": {"digest": digest, "filename": filename, **facts}}
    )


def laid(kit: Kit, claim: Claim, directory: Path) -> Path:
    """The file that lies ready for a check."""
    request = prepare(kit, claim, directory, (0,))
    assert isinstance(request, Check)
    return request.path


def cached(kit: Kit) -> set[str]:
    return {path.name for path in (kit.scratch / "cache").iterdir()}


def test_a_job_without_a_teacher_is_a_spec_over_the_packed_images(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit(training={"epochs": 7})
    kit = workshop.kit(lease_seconds=40, trainer_memory_bytes=GIBIBYTE)
    request = prepare(kit, workshop.take(kit), tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    assert (request.directory, request.silence_seconds, request.memory_bytes) == (tmp_path / "attempt", 20, GIBIBYTE)
    assert (request.spec.teacher, request.spec.training.epochs, request.resume_from) == (None, 7, None)
    assert request.spec.dataset.path.suffix == ".safetensors"
    assert request.spec.dataset.path.read_bytes().startswith(b"content ")


def test_a_job_says_how_its_images_become_one_size(workshop: Workshop, tmp_path: Path) -> None:
    job = workshop.submit()
    kit = workshop.kit()
    claim = workshop.take(kit)
    asked = replace(claim, spec={**claim.spec, "dataset": {**claim.spec["dataset"], "image_size": 16, "resize": "pad"}})
    request = prepare(kit, asked, tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    assert (job, request.spec.dataset.image_size, request.spec.dataset.resize) == (claim.job_id, 16, "pad")


def test_a_data_set_to_transfer_to_lies_beside_the_own_and_is_called_by_its_id(workshop: Workshop, tmp_path: Path) -> None:
    other = workshop.ready_dataset()
    workshop.submit(evaluation=[{"name": "knn"}, {"name": "transfer", "dataset": {"id": other, "image_size": 16}}])
    kit = workshop.kit()
    claim = workshop.take(kit)
    request = prepare(kit, claim, tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    transfer = request.spec.evaluation[1]
    assert isinstance(transfer, TransferFile)
    assert (transfer.dataset.called, transfer.dataset.image_size) == (other, 16)
    assert transfer.dataset.path.resolve() == kit.store.local_path(claim.inputs["evaluation/1"]["digest"])


def test_a_teacher_comes_as_its_check_found_it_with_what_the_client_said(workshop: Workshop, tmp_path: Path) -> None:
    teacher = workshop.teacher(b"weights of the teacher")
    workshop.pass_check()
    workshop.submit(teacher={"id": teacher, "class_map": [1, 0]})
    kit = workshop.kit()
    request = prepare(kit, workshop.take(kit), tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    told = request.spec.teacher
    assert told is not None
    assert (told.architecture, told.options, told.class_map) == ("resnet56", {"shortcut": "pad"}, (1, 0))
    assert (told.path.read_bytes(), told.path.suffix) == (b"weights of the teacher", ".pt")
    assert told.path.parent == tmp_path / "attempt" / "inputs"


def test_published_weights_come_by_name_without_a_file(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit(teacher={"pretrained": "resnet50", "class_map": [1, 0]})
    kit = workshop.kit()
    request = prepare(kit, workshop.take(kit), tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    told = request.spec.teacher
    assert told is not None
    assert (told.pretrained, told.path, told.class_map) == ("resnet50", None, (1, 0))


def test_a_check_says_what_the_sender_said(workshop: Workshop, tmp_path: Path) -> None:
    stored = workshop.put()
    facts = {"digest": stored.digest, "filename": "a.th", "architecture": "resnet20", "num_classes": 5}
    claim = Claim("job_1", "check_teacher", 1, "worker_0", CHECKS, {}, {"teacher": facts})
    request = prepare(workshop.kit(), claim, tmp_path / "attempt", (0,))
    assert isinstance(request, Check)
    assert (request.kind, request.architecture, request.num_classes) == ("check_teacher", "resnet20", 5)
    assert request.memory_bytes is not None


def test_a_job_that_wishes_a_processor_gets_no_gpu(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit(resources={"device": "cpu"})
    kit = workshop.kit(gpus=2, trainer_memory_bytes=GIBIBYTE)
    request = prepare(kit, workshop.take(kit, "train-cpu"), tmp_path / "attempt", (0,))
    assert (request.gpu, request.memory_bytes) == ("", GIBIBYTE)


def test_gpus_are_shared_out_by_slot_and_put_no_limit_on_memory(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit()
    kit = workshop.kit(gpus=2)
    claim = workshop.take(kit)
    requests = [prepare(kit, claim, tmp_path / str(slot), (slot,)) for slot in range(3)]
    assert [(request.gpu, request.memory_bytes) for request in requests] == [("0", None), ("1", None), ("0", None)]


def test_a_job_goes_on_from_its_checkpoint(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit()
    (tmp_path / "saved").write_text("step 5")
    workshop.store.put_key("checkpoints/job/1-5", tmp_path / "saved")
    kit = workshop.kit()
    request = prepare(kit, replace(workshop.take(kit), resume_from="checkpoints/job/1-5"), tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    assert request.resume_from is not None
    assert request.resume_from.read_text() == "step 5"


def test_a_file_that_the_store_lost_is_named(workshop: Workshop, remote: Store, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="f" * 64):
        laid(workshop.kit(store=remote), check_of("f" * 64), tmp_path / "attempt")


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("images.zip", "0.zip"),
        ("CIFAR.TAR.GZ", "0.tar.gz"),
        ("../../etc/passwd", "0"),
        ("a.zip/../../../b", "0"),
        ("..", "0"),
        ("", "0"),
        ("nul.zip\0.png", "0.png"),
        ("bild.zïp", "0"),
        ("a." + "z" * 300, "0"),
        ("two\nlines.zip", "0.zip"),
        ("x.zip\n", "0.zip"),
    ],
)
def test_of_a_hostile_name_nothing_but_a_plain_ending_is_used(
    workshop: Workshop, tmp_path: Path, filename: str, name: str
) -> None:
    stored = workshop.put(b"an archive")
    path = laid(workshop.kit(), check_of(stored.digest, filename), tmp_path / "attempt")
    assert (path.parent, path.name) == (tmp_path / "attempt" / "inputs", name)
    assert path.read_bytes() == b"an archive"


def test_a_file_from_far_is_fetched_once_and_held_to_its_digest(workshop: Workshop, remote: Store, tmp_path: Path) -> None:
    stored = remote.put([b"an archive"])
    kit = workshop.kit(store=remote)
    first = laid(kit, check_of(stored.digest), tmp_path / "one")
    remote.delete(stored.digest)
    second = laid(kit, check_of(stored.digest), tmp_path / "two")
    assert first.samefile(second)
    assert second.read_bytes() == b"an archive"


def test_the_longest_unused_files_make_room_and_running_attempts_keep_theirs(
    workshop: Workshop, remote: Store, tmp_path: Path
) -> None:
    old, used, new = (remote.put([letter * 100]) for letter in (b"o", b"u", b"n"))
    kit = workshop.kit(store=remote, cache_bytes=250)
    running = laid(kit, check_of(old.digest), tmp_path / "1")
    laid(kit, check_of(used.digest), tmp_path / "2")
    assert cached(kit) == {old.digest, used.digest}
    laid(kit, check_of(used.digest), tmp_path / "3")
    laid(kit, check_of(new.digest), tmp_path / "4")
    assert cached(kit) == {used.digest, new.digest}
    assert running.read_bytes() == b"o" * 100


def test_a_file_larger_than_the_cache_is_used_and_not_kept(workshop: Workshop, remote: Store, tmp_path: Path) -> None:
    stored = remote.put([b"x" * 100])
    kit = workshop.kit(store=remote, cache_bytes=10)
    assert laid(kit, check_of(stored.digest), tmp_path / "1").read_bytes() == b"x" * 100
    assert cached(kit) == set()


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_slots_that_fetch_at_once_get_whole_files(workshop: Workshop, remote: Store, tmp_path: Path, cache_bytes: int) -> None:
    contents = [bytes([number]) * 8_000_000 for number in (1, 2)]
    digests = [remote.put([content]).digest for content in contents]
    kit = workshop.kit(store=remote, cache_bytes=cache_bytes)
    together = Barrier(8)

    def one(number: int) -> bytes:
        together.wait()
        return laid(kit, check_of(digests[number % 2]), tmp_path / str(number)).read_bytes()

    with ThreadPoolExecutor(8) as slots:
        got = list(slots.map(one, range(8)))
    assert got == contents * 4


def test_nothing_of_an_attempt_stays(workshop: Workshop, tmp_path: Path) -> None:
    stored = workshop.put(b"an archive")
    laid(workshop.kit(), check_of(stored.digest), tmp_path / "attempt")
    clear(tmp_path / "attempt")
    clear(tmp_path / "attempt")
    assert not (tmp_path / "attempt").exists()
    assert b"".join(workshop.store.read(stored.digest)) == b"an archive"


def test_a_checkpoint_that_is_gone_costs_the_work_and_not_the_job(workshop: Workshop, tmp_path: Path) -> None:
    workshop.submit()
    kit = workshop.kit()
    request = prepare(kit, replace(workshop.take(kit), resume_from="checkpoints/job/1-5"), tmp_path / "attempt", (0,))
    assert isinstance(request, Distill)
    assert request.resume_from is None
