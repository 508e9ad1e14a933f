"""Pretrained networks: from a wheel of the package registry, a folder, or the hub, by one call.

::

    network = locate("minilm-l6")            # or "path/to/folder", or "hub:bert-base-uncased"
    model = classifier(network, ["negative", "positive"])

Whatever the place, a network ends as a folder in the transformers format (``config.json``,
safetensors, tokenizer). Pickled weights and code that comes with a network are refused. Networks of
the registry are unpacked, or converted from GGUF, once; the folder is an artifact of the cache,
verified by the sha256 of its files each time it is located.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdlib.core.errors import BadDownload, BadSetting, first_line, unknown
from gdlib.core.settings import digest
from gdlib.core.store import file_digest
from gdlib.sources.download import from_the_hub
from gdlib.sources.formats import quiet
from gdlib.sources.networks import networks

if TYPE_CHECKING:  # transformers and torch are imported where a network is loaded
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FOLDER_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
# names in the families of transformers: of hidden states, attention weights, classification head
DROPOUTS = (
    *("hidden_dropout_prob", "dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop"),
    *("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"),
    *("classifier_dropout", "seq_classif_dropout"),
)
# names of the masked-language-model head in the families of transformers
MASKED_HEADS = ("predictions.", "lm_head.", "vocab_transform.")


@dataclass(frozen=True)
class Network:
    """A pretrained network on this machine.

    ``location`` is its folder; ``digest`` says which weights it holds, on any machine alike.
    """

    name: str
    location: str
    digest: str


def locate(name: str) -> Network:
    """The network of that name; fetched and converted now if need be.

    Args:
        name: of a card of :mod:`gdlib.sources.networks`, the path of a folder, or ``hub:NAME``.

    Raises:
        UnknownName: neither a known name nor a folder.
        BadDownload: it cannot be fetched, is not what was pinned, or is not a network of
            safetensors.
    """
    known = networks()
    if name in known:
        return Network(name, str(known[name].folder()), digest(known[name].recipe))
    if name.startswith("hub:"):
        return _from_hub(name)
    folder = Path(name)
    if not folder.is_dir():
        raise unknown("network", name, known, "or a folder, or hub:NAME")
    _check_folder(name, folder)
    files = sorted({path for pattern in FOLDER_FILES for path in folder.glob(pattern)})
    content = digest([[path.name, file_digest(path)] for path in files])
    return Network(folder.resolve().name, name, content)


def tokenizer(network: Network) -> "PreTrainedTokenizerBase":
    """Its fast tokenizer. One without a padding token pads with the end-of-text token: so mask by
    attention, not by id.
    """
    pieces = _load(network, "AutoTokenizer")
    if pieces.pad_token is None:
        pieces.pad_token = pieces.eos_token
    return pieces


def encoder(network: Network) -> "PreTrainedModel":
    """The network without a head, in float32: ids *[batch, length]* to hidden states *[batch,
    length, width]*. A pooler that it lacks is drawn from torch's generator.
    """
    return _weights(network, "AutoModel")


def classifier(
    network: Network, labels: Sequence[str], dropout: float | None = None
) -> "PreTrainedModel":
    """The network under a new, untrained classification head, in float32: ids *[batch, length]* to
    logits *[batch, labels]*.

    The head (and a pooler where the network has none) is drawn from torch's generator: seed it
    before.

    Args:
        labels: the class names, in the order of the logits.
        dropout: the rate for hidden states, attention and head alike; None keeps what the network
            was trained with.
    """
    rates = {} if dropout is None else dict.fromkeys(DROPOUTS, dropout)
    config = _load(network, "AutoConfig", **rates)  # takes those that the family knows
    return _headed(network, "AutoModelForSequenceClassification", config, labels)


def tagger(network: Network, labels: Sequence[str], layers: int = 0) -> "PreTrainedModel":
    """As :func:`classifier`, with logits for every piece: ids *[batch, length]* to logits *[batch,
    length, labels]*.

    Args:
        layers: of the network's layers only so many are kept, from the bottom; 0: all.

    Raises:
        BadSetting: it has fewer layers.
    """
    config = _load(network, "AutoConfig")
    if not 0 <= layers <= config.num_hidden_layers:
        raise BadSetting(
            f'network "{network.name}" has {config.num_hidden_layers} layers; {layers} asked for'
        )
    config.num_hidden_layers = layers or config.num_hidden_layers
    return _headed(network, "AutoModelForTokenClassification", config, labels)


def _headed(network: Network, family: str, config: Any, labels: Sequence[str]) -> "PreTrainedModel":
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer(network).pad_token_id
    return _weights(network, family, new_head=True, config=config)


def causal(network: Network) -> "PreTrainedModel":
    """The network as a causal language model, in float32: ids *[batch, length]* to logits *[batch,
    length, vocabulary]*.
    """
    return _weights(network, "AutoModelForCausalLM")


def masked(network: Network) -> "PreTrainedModel":
    """The network under its own masked-language-model head, in float32: ids *[batch, length]* to
    logits *[batch, length, vocabulary]*.
    """
    return _weights(network, "AutoModelForMaskedLM")


def has_masked_head(network: Network) -> bool:
    """Whether its files hold a masked-language-model head; that the configuration names one is not
    enough (mpnet-base's does).
    """
    named = _load(network, "AutoConfig").architectures or ()
    if not any(name.endswith("ForMaskedLM") for name in named):
        return False
    from safetensors import safe_open

    for file in Path(network.location).glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            if any(part in key for key in tensors.keys() for part in MASKED_HEADS):
                return True
    return False


def _from_hub(name: str) -> Network:
    from huggingface_hub import snapshot_download

    with from_the_hub("network", name):
        hub = name.removeprefix("hub:")
        folder = Path(snapshot_download(hub, allow_patterns=list(FOLDER_FILES)))
    _check_folder(name, folder)
    return Network(name, str(folder), folder.name)


def _check_folder(name: str, folder: Path) -> None:
    for pattern, why in (
        ("config.json", "expected config.json, *.safetensors and a tokenizer"),
        ("*.safetensors", "pickled weights (*.bin, *.pt) are refused"),
    ):
        if not list(folder.glob(pattern)):
            raise BadDownload(f'network "{name}": no {pattern}; {why}')


def _weights(
    network: Network, family: str, new_head: bool = False, **options: Any
) -> "PreTrainedModel":
    """Load; the table of unused heads that transformers prints is noise here, a weight missing from
    the body is not.

    Args:
        family: the automatic class of transformers.
        new_head: whether the head is new, so that its weights may be absent from the files; those
            of a pooler always may.
    """
    import torch

    from gdlib.sources.attention import attend_faster

    model, info = _load(
        network,
        family,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    body = f"{model.base_model_prefix}." if new_head else ""
    missing = sorted(
        key for key in info["missing_keys"] if key.startswith(body) and "pooler" not in key
    )
    if missing:
        raise BadDownload(
            f'network "{network.name}" is no whole {type(model).__name__}: {len(missing)} '
            f"weights missing, the first is {missing[0]}"
        )
    attend_faster(model)
    return model


def _load(network: Network, family: str, **options: Any) -> Any:
    import transformers
    from safetensors import SafetensorError

    load = getattr(transformers, family).from_pretrained
    try:
        with quiet():
            return load(network.location, trust_remote_code=False, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadDownload(
            f'network "{network.name}" cannot be loaded from {network.location}: '
            f"{first_line(error)}"
        ) from error
