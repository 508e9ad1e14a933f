"""What this machine multiplies fast, and which of transformers' ways to compute fits it."""


def has_bf16() -> bool:
    """Whether the hardware multiplies bf16 matrices itself (a GPU, or a processor with AVX512-BF16
    or AMX).
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def attention() -> dict[str, str]:
    """How networks are loaded so that their attention is the fastest here.

    On a processor that multiplies bf16 it is written out as products of matrices: torch's fused
    attention takes 1.4 to 3 times as long there for texts of 8 to 256 pieces, and 2 to 13 times as
    long with its gradient. Elsewhere transformers chooses, which takes the fused one.
    """
    import torch

    written_out = has_bf16() and not torch.cuda.is_available()
    return {"attn_implementation": "eager"} if written_out else {}
