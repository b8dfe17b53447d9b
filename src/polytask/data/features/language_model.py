"""A transformers model in a folder: what its last layer says of a text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.errors import MissingExtraError, SchemaError


def model_vectors(folder: Path, texts: Sequence[str], batch_size: int, most_tokens: int) -> np.ndarray:
    """float32 `[texts, width]`: the mean over a text's tokens of the last hidden state, padding aside.

    Nothing is downloaded: the folder holds the model and its tokenizer, as `save_pretrained` writes them.

    Raises:
        MissingExtraError: transformers is not installed.
        SchemaError: the folder holds no such model.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise MissingExtraError("transformers", "text", f"the embedding of {str(folder)!r}") from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise SchemaError(f"embedding: the folder {str(folder)!r} holds no model and tokenizer: {why}") from None
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            piece = list(texts[start : start + batch_size])
            read = tokenizer(piece, padding=True, truncation=True, max_length=most_tokens, return_tensors="pt")
            states = model(**read).last_hidden_state
            weight = read["attention_mask"].unsqueeze(-1).to(states.dtype)
            found.append(((states * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)).float().numpy())
    return np.concatenate(found)
