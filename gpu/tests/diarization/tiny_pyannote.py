"""A pipeline of pyannote.audio with tiny random models, in a folder as the Hub has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

DURATION_S = 5.0  # that the models process at a time
CONFIG = """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    segmentation: $model/segmentation
    segmentation_step: 0.5
    embedding: $model/embedding
    plda: $model/plda
    clustering: AgglomerativeClustering
    segmentation_batch_size: 2
    embedding_batch_size: 2
params:
  segmentation: {min_duration_off: 0.0}
  clustering: {method: average, threshold: 0.02, min_cluster_size: 1}
"""


def save_pipeline(folder: Path) -> None:
    """Random, but always the same: several speakers, some of them at the same time."""
    import numpy as np

    torch.manual_seed(3)
    (folder / "config.yaml").write_text(CONFIG)
    _save(_segmentation(), folder / "segmentation")
    _save(_embedding(), folder / "embedding")
    plda = folder / "plda"
    plda.mkdir()
    zeros, one = np.zeros(8), np.eye(8)
    np.savez(plda / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=one)
    np.savez(plda / "plda.npz", mu=zeros, tr=one, psi=np.linspace(2, 1, 8))


def _segmentation() -> Any:
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    small = {"hidden_size": 8, "num_layers": 1}
    model = PyanNet(sincnet={"stride": 10}, lstm=small, linear=small)
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=DURATION_S,
        classes=["1", "2", "3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    with torch.no_grad():
        model.classifier.weight *= 100  # or it would always find the same speaker
    return model


def _embedding() -> Any:
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import XVectorSincNet

    model = XVectorSincNet(dimension=8)
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=DURATION_S
    )
    model.build()
    return model


def _save(model: Any, folder: Path) -> None:
    import lightning

    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    folder.mkdir()
    torch.save(checkpoint, folder / "pytorch_model.bin")
