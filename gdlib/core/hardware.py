"""What this machine multiplies fast."""


def has_bf16() -> bool:
    """Whether the hardware multiplies bf16 matrices itself (a GPU, or a processor with AVX512-BF16
    or AMX).
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
