"""Tests for the request that a trainer receives, and for the input files that it names."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from dlkd_core.spec import TransferFile
from registry.attempts.claims import Claim
from registry.errors import StoredFileMissing
from registry.jobs.queue_names import QueueName
from registry.storage.object_store import Store
from tests.worker.conftest import WorkerHarness
from worker.context import WorkerContext
from worker.protocol import DistillRequest, UploadCheckRequest
from worker.trainer_request import build_request, remove_directory

GIBIBYTE = 2**30


@pytest.fixture
def remote(tmp_path: Path) -> Store:
    """Return a store that, like S3, has no local folder."""
    return Store("memory:///", scratch=tmp_path / "incoming")


def make_check_claim(digest: str, filename: str = "images.zip") -> Claim:
    return Claim(
        "job_1",
        "check_dataset",
        1,
        "worker_0",
        QueueName.CHECKS,
        {},
        {"dataset": {"digest": digest, "filename": filename}},
    )


def build_check_input(context: WorkerContext, claim: Claim, directory: Path) -> Path:
    """Build the request for an upload check and return the path of the file to check."""
    request = build_request(context, claim, directory, (0,))
    assert isinstance(request, UploadCheckRequest)
    return request.path


def list_cached(context: WorkerContext) -> set[str]:
    return {path.name for path in (context.scratch / "cache").iterdir()}


def test_a_request_without_a_teacher_has_the_packed_images(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    harness.submit(training={"epochs": 7})
    context = harness.create_context(lease_seconds=40, trainer_memory_bytes=GIBIBYTE)
    request = build_request(context, harness.claim_job(context), tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    assert request.directory == tmp_path / "attempt"
    assert (request.silence_seconds, request.memory_bytes) == (20, GIBIBYTE)
    assert request.spec.training.epochs == 7
    assert (request.spec.teacher, request.resume_from) == (None, None)
    assert request.spec.dataset.path.suffix == ".safetensors"
    assert request.spec.dataset.path.read_bytes().startswith(b"content ")


def test_a_request_keeps_the_image_size_and_resizing_of_the_job(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    job_id = harness.submit()
    context = harness.create_context()
    claim = harness.claim_job(context)
    assert claim.job_id == job_id
    dataset = {**claim.spec["dataset"], "image_size": 16, "resize": "pad"}
    resized = replace(claim, spec={**claim.spec, "dataset": dataset})
    request = build_request(context, resized, tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    assert (request.spec.dataset.image_size, request.spec.dataset.resize) == (16, "pad")


def test_a_request_has_the_data_set_of_a_transfer_evaluation(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    other = harness.add_ready_dataset()
    harness.submit(
        evaluation=[
            {"name": "knn"},
            {"name": "transfer", "dataset": {"id": other, "image_size": 16}},
        ]
    )
    context = harness.create_context()
    claim = harness.claim_job(context)
    request = build_request(context, claim, tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    transfer = request.spec.evaluation[1]
    assert isinstance(transfer, TransferFile)
    assert (transfer.dataset.display_name, transfer.dataset.image_size) == (other, 16)
    assert transfer.dataset.path.resolve() == context.store.local_path(
        claim.inputs["evaluation/1"]["digest"]
    )


def test_a_teacher_has_the_recognized_architecture_and_the_options_of_the_job(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    teacher = harness.upload_teacher(b"weights of the teacher")
    harness.pass_check()
    harness.submit(teacher={"id": teacher, "class_map": [1, 0]})
    context = harness.create_context()
    request = build_request(context, harness.claim_job(context), tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    teacher_spec = request.spec.teacher
    assert teacher_spec is not None
    assert (teacher_spec.architecture, teacher_spec.options, teacher_spec.class_map) == (
        "resnet56",
        {"shortcut": "pad"},
        (1, 0),
    )
    assert (teacher_spec.path.read_bytes(), teacher_spec.path.suffix) == (
        b"weights of the teacher",
        ".pt",
    )
    assert teacher_spec.path.parent == tmp_path / "attempt" / "inputs"


def test_the_network_of_a_transformers_teacher_is_left_to_its_file(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    teacher = harness.upload_teacher(b"weights of the teacher")
    harness.pass_check(architecture="transformers/vit", options={})
    harness.submit(teacher={"id": teacher})
    context = harness.create_context()
    request = build_request(context, harness.claim_job(context), tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    teacher_spec = request.spec.teacher
    assert teacher_spec is not None
    assert (teacher_spec.architecture, teacher_spec.options) == (None, {})
    assert teacher_spec.path.read_bytes() == b"weights of the teacher"


def test_a_pretrained_teacher_is_named_without_a_file(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    harness.submit(teacher={"pretrained": "resnet50", "class_map": [1, 0]})
    context = harness.create_context()
    request = build_request(context, harness.claim_job(context), tmp_path / "attempt", (0,))
    assert isinstance(request, DistillRequest)
    teacher_spec = request.spec.teacher
    assert teacher_spec is not None
    assert (teacher_spec.pretrained, teacher_spec.path, teacher_spec.class_map) == (
        "resnet50",
        None,
        (1, 0),
    )


def test_a_check_request_has_what_the_uploader_stated(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    stored = harness.store_file()
    teacher = {
        "digest": stored.digest,
        "filename": "a.th",
        "architecture": "resnet20",
        "num_classes": 5,
    }
    claim = Claim(
        "job_1", "check_teacher", 1, "worker_0", QueueName.CHECKS, {}, {"teacher": teacher}
    )
    request = build_request(harness.create_context(), claim, tmp_path / "attempt", (0,))
    assert isinstance(request, UploadCheckRequest)
    assert (request.kind, request.architecture, request.num_classes) == (
        "check_teacher",
        "resnet20",
        5,
    )
    assert request.memory_bytes is not None


def test_a_job_that_requests_a_cpu_gets_no_gpu(harness: WorkerHarness, tmp_path: Path) -> None:
    harness.submit(resources={"device": "cpu"})
    context = harness.create_context(gpus=2, trainer_memory_bytes=GIBIBYTE)
    request = build_request(
        context, harness.claim_job(context, "train-cpu"), tmp_path / "attempt", (0,)
    )
    assert (request.gpu, request.memory_bytes) == ("", GIBIBYTE)


def test_each_slot_uses_one_gpu_without_a_memory_limit(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    harness.submit()
    context = harness.create_context(gpus=2)
    claim = harness.claim_job(context)
    requests = [build_request(context, claim, tmp_path / str(slot), (slot,)) for slot in range(3)]
    assert [(request.gpu, request.memory_bytes) for request in requests] == [
        ("0", None),
        ("1", None),
        ("0", None),
    ]


def test_a_job_resumes_from_its_checkpoint(harness: WorkerHarness, tmp_path: Path) -> None:
    harness.submit()
    (tmp_path / "saved").write_text("step 5")
    harness.store.put_key("checkpoints/job/1-5", tmp_path / "saved")
    context = harness.create_context()
    request = build_request(
        context,
        replace(harness.claim_job(context), resume_from="checkpoints/job/1-5"),
        tmp_path / "attempt",
        (0,),
    )
    assert isinstance(request, DistillRequest)
    assert request.resume_from is not None
    assert request.resume_from.read_text() == "step 5"


def test_a_missing_input_file_is_named(
    harness: WorkerHarness, remote: Store, tmp_path: Path
) -> None:
    with pytest.raises(StoredFileMissing, match="f" * 64):
        build_check_input(
            harness.create_context(store=remote), make_check_claim("f" * 64), tmp_path / "attempt"
        )


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
def test_only_a_plain_extension_of_an_untrusted_file_name_is_kept(
    harness: WorkerHarness, tmp_path: Path, filename: str, name: str
) -> None:
    stored = harness.store_file(b"an archive")
    path = build_check_input(
        harness.create_context(), make_check_claim(stored.digest, filename), tmp_path / "attempt"
    )
    assert (path.parent, path.name) == (tmp_path / "attempt" / "inputs", name)
    assert path.read_bytes() == b"an archive"


def test_a_remote_file_is_fetched_once(
    harness: WorkerHarness, remote: Store, tmp_path: Path
) -> None:
    stored = remote.put([b"an archive"])
    context = harness.create_context(store=remote)
    first = build_check_input(context, make_check_claim(stored.digest), tmp_path / "one")
    remote.delete(stored.digest)
    second = build_check_input(context, make_check_claim(stored.digest), tmp_path / "two")
    assert first.samefile(second)
    assert second.read_bytes() == b"an archive"


def test_the_least_recently_used_files_are_evicted_and_running_attempts_keep_theirs(
    harness: WorkerHarness, remote: Store, tmp_path: Path
) -> None:
    old, used, new = (remote.put([letter * 100]) for letter in (b"o", b"u", b"n"))
    context = harness.create_context(store=remote, cache_bytes=250)
    running = build_check_input(context, make_check_claim(old.digest), tmp_path / "1")
    build_check_input(context, make_check_claim(used.digest), tmp_path / "2")
    assert list_cached(context) == {old.digest, used.digest}
    build_check_input(context, make_check_claim(used.digest), tmp_path / "3")
    build_check_input(context, make_check_claim(new.digest), tmp_path / "4")
    assert list_cached(context) == {used.digest, new.digest}
    assert running.read_bytes() == b"o" * 100


def test_a_file_larger_than_the_cache_is_used_but_not_cached(
    harness: WorkerHarness, remote: Store, tmp_path: Path
) -> None:
    stored = remote.put([b"x" * 100])
    context = harness.create_context(store=remote, cache_bytes=10)
    path = build_check_input(context, make_check_claim(stored.digest), tmp_path / "1")
    assert path.read_bytes() == b"x" * 100
    assert list_cached(context) == set()


@pytest.mark.parametrize("cache_bytes", [2**30, 0])
def test_slots_that_fetch_at_the_same_time_get_complete_files(
    harness: WorkerHarness, remote: Store, tmp_path: Path, cache_bytes: int
) -> None:
    contents = [bytes([number]) * 8_000_000 for number in (1, 2)]
    digests = [remote.put([content]).digest for content in contents]
    context = harness.create_context(store=remote, cache_bytes=cache_bytes)
    barrier = Barrier(8)

    def fetch(number: int) -> bytes:
        barrier.wait()
        claim = make_check_claim(digests[number % 2])
        return build_check_input(context, claim, tmp_path / str(number)).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        fetched = list(pool.map(fetch, range(8)))
    assert fetched == contents * 4


def test_an_attempts_directory_is_removed_but_not_the_stored_file(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    stored = harness.store_file(b"an archive")
    build_check_input(
        harness.create_context(), make_check_claim(stored.digest), tmp_path / "attempt"
    )
    remove_directory(tmp_path / "attempt")
    remove_directory(tmp_path / "attempt")
    assert not (tmp_path / "attempt").exists()
    assert b"".join(harness.store.read(stored.digest)) == b"an archive"


def test_a_job_whose_checkpoint_is_missing_starts_over(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    harness.submit()
    context = harness.create_context()
    request = build_request(
        context,
        replace(harness.claim_job(context), resume_from="checkpoints/job/1-5"),
        tmp_path / "attempt",
        (0,),
    )
    assert isinstance(request, DistillRequest)
    assert request.resume_from is None
