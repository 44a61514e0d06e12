"""NVIDIA's cards: which are there, whose they are, and what a session is shown. The driver's folder is made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.devices import DeviceCount, count_devices, free_devices, held_cards
from jupyterhub_aiinfn.backends.local.nvidia import Card, device_files, read_cards, visibility
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values.accelerators import Accelerator

A100, T4 = "NVIDIA A100 80GB PCIe", "Tesla T4"


def uuid(number: int) -> str:
    return f"GPU-{number:08x}-0123-4567-89ab-0123456789ab"


def add_card(folder: Path, bus: int, minor: object, model: str = T4, uuid: str = "", **more: str) -> None:
    """A card as driver 550 describes it."""
    lines = {"Model": model, "IRQ": "57", "GPU UUID": uuid, "Video BIOS": "90.04.96.00.0a", "Bus Type": "PCIe"}
    lines |= {"Bus Location": f"0000:{bus:02x}:00.0", "Device Minor": str(minor), "GPU Excluded": "No"}
    lines |= {name.replace("_", " "): value for name, value in more.items()}
    place = folder / f"0000:{bus:02x}:00.0"
    place.mkdir(parents=True)
    (place / "information").write_text("".join(f"{name}: \t\t {value}\n" for name, value in lines.items()))


def gpu(**fields: object) -> Accelerator:
    return Accelerator.model_validate({"type": "gpu", "name": "GPU"} | fields, strict=False)


def model(label: str) -> Accelerator:
    return gpu(node_selector={"nvidia.com/gpu.product": label})


def test_a_machine_without_the_driver_has_no_card(tmp_path: Path) -> None:
    assert read_cards(tmp_path / "none") == []
    counts = count_devices({"gpu": gpu(), "u55c": gpu(type="fpga")}, tmp_path / "none")
    assert (counts["gpu"].total, counts["gpu"].reason) == (0, "no NVIDIA GPU on this machine")
    assert counts["u55c"].reason == "no FPGA card on this machine"


def test_the_file_in_dev_is_the_minor_and_not_the_place_on_the_bus(tmp_path: Path) -> None:
    add_card(tmp_path, 0x3B, 2, uuid=uuid(1))
    add_card(tmp_path, 0xAF, 0, uuid=uuid(2))
    count = count_devices({"gpu": gpu()}, tmp_path)["gpu"]
    assert free_devices(count, [], "gpu") == ["gpu/2", "gpu/0"]
    cards = held_cards(["gpu/2"], count)
    assert device_files(cards) == ["/dev/nvidia2", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    assert visibility(cards) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": uuid(1),
        "NVIDIA_VISIBLE_DEVICES": uuid(1),
    }


def test_a_session_without_a_card_is_told_that_there_is_none() -> None:
    assert visibility([])["CUDA_VISIBLE_DEVICES"] == "-1"
    assert visibility([])["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert device_files([]) == []


def test_cards_whose_uuid_is_hidden_are_counted_from_0(tmp_path: Path) -> None:
    add_card(tmp_path, 1, 0, uuid=uuid(1))
    add_card(tmp_path, 2, 1, uuid="GPU-????????-????-????-????-????????????")
    add_card(tmp_path, 3, 2, uuid=uuid(3))
    cards = read_cards(tmp_path)
    assert visibility(cards[1:2])["CUDA_VISIBLE_DEVICES"] == "0"
    assert visibility(cards[1:])["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert visibility([cards[0], cards[2]])["CUDA_VISIBLE_DEVICES"] == f"{uuid(1)},{uuid(3)}"


def test_several_models_are_told_apart_by_the_label_wherever_they_stand(tmp_path: Path) -> None:
    add_card(tmp_path, 1, 0, A100)
    add_card(tmp_path, 2, 1, T4)
    add_card(tmp_path, 3, 2, A100)
    catalogue = {
        "any": gpu(),
        "a100": model("NVIDIA-A100-80GB-PCIe"),
        "again": model("NVIDIA-A100-80GB-PCIe"),
        "rtx": model("Quadro-RTX-5000"),
        "slice": model("NVIDIA-A100-80GB-PCIe-MIG-1g.10gb"),
        "more": gpu(),
        "pretended": gpu(emulated=3),
    }
    counts = count_devices(catalogue, tmp_path)
    assert list(counts) == list(catalogue)
    assert {key: tuple(count.numbers) for key, count in counts.items() if count.total} == {
        "any": (1,),
        "a100": (0, 2),
        "pretended": (0, 1, 2),
    }
    assert counts["rtx"].reason == f"no Quadro-RTX-5000 on this machine, only {A100}, {T4}"
    assert counts["slice"].reason.startswith("no NVIDIA-A100-80GB-PCIe-MIG-1g.10gb on this machine")
    assert counts["more"].reason == "every NVIDIA GPU of this machine belongs to another accelerator of the values file"
    assert held_cards(["pretended/0"], counts["pretended"]) == []


@pytest.mark.parametrize("minor", ["", "-1", "1/../../sda", "0x1", "99999", "\u0661"])
def test_what_cannot_be_read_is_not_handed_out(tmp_path: Path, minor: str) -> None:
    add_card(tmp_path, 1, minor)
    add_card(tmp_path, 2, 0, GPU_Excluded="Yes")
    (tmp_path / "0000:03:00.0").mkdir()
    (tmp_path / "0000:04:00.0").mkdir()
    (tmp_path / "0000:04:00.0" / "information").write_bytes(b"\xff\xfe" * 100_000)
    assert read_cards(tmp_path) == []


def test_a_card_that_vanished_since_is_said(tmp_path: Path) -> None:
    count = DeviceCount((0, 1), (Card(0, T4),))
    with pytest.raises(BackendError, match="has just disappeared"):
        held_cards(["gpu/1"], count)
