"""An ONNX Runtime session that runs on the provider that was asked for, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stream.errors import ModelError, ProviderError
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.providers import UnavailableError, loading_problem, runtime
from stream.inference.refusals import about_model, model_problem
from stream.inference.route import Route
from stream.inference.session_options import session_options
from stream.system.runtime_words import plain

_NOT_ON_CARDS = ["ConstantSharing"]
"""Makes one tensor of equal constants. A node that wants one in its device's memory and the other
in the CPU's, as Slice does of what it cuts and where, gets both in the CPU's and fails."""

_BESIDE = "session.model_external_initializers_file_folder_path"


def create(
    chosen: Route,
    model: str | bytes,
    threads: int | None,
    what: str,
    profile: Path | None = None,
    fixed: Mapping[str, int] | None = None,
    *,
    optimised: bool = False,
    keep: Path | None = None,
    compiled: Path | None = None,
    spins: bool = False,
    core: int | None = None,
    beside: Path | None = None,
) -> InferenceSession:
    """Creates an `onnxruntime.InferenceSession` that runs on the route's provider.

    Args:
        chosen: the provider.
        model: a path or a serialised model.
        threads: for computing on the CPU; None for a number that suits the machine.
        what: what the model is called in errors.
        profile: how the file begins into which the session's `end_profiling` writes what each node
            took; None for no such file.
        fixed: sides of inputs by the names that the model gives them, with the only size each will
            have.
        optimised: the graph is optimised already.
        keep: a file for the optimised graph.
        compiled: a new file, which stands for the model then and names another beside it, into
            which goes what the provider compiles.
        spins: see `stream.inference.session_options`.
        core: likewise.
        beside: the folder with what a serialised model's file left in files of their own.

    Raises:
        ModelError: ONNX Runtime cannot read the model.
        ProviderError: the provider cannot be created or takes nothing of the model.
    """
    module = runtime()
    options = session_options(
        threads, spins=spins, own=optimised and chosen.name == "cpu", core=core
    )
    for side, pixels in (fixed or {}).items():
        options.add_free_dimension_override_by_name(side, pixels)
    if beside is not None and isinstance(model, bytes):
        options.add_session_config_entry(_BESIDE, str(beside.resolve()))
    if optimised:
        options.graph_optimization_level = module.GraphOptimizationLevel.ORT_DISABLE_ALL
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    if compiled is not None:
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_embed_mode", "0")
        options.add_session_config_entry("ep.context_file_path", str(compiled))
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    names: list[str | tuple[str, dict[str, str]]] | None = None
    if chosen.devices:
        options.add_provider_for_devices(list(chosen.devices), dict(chosen.options))
    else:
        names = [(chosen.execution_provider, dict(chosen.options))]
        names += [(other, dict(options)) for other, options in chosen.rest.items()]
        if chosen.name != "cpu":
            names.append("CPUExecutionProvider")
    try:
        handle = module.InferenceSession(
            model,
            sess_options=options,
            providers=names,
            enable_fallback=False,
            disabled_optimizers=_NOT_ON_CARDS if chosen.library else None,
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        sentence = plain(str(error))
        if about_model(error, sentence) or chosen.name == "cpu":
            raise ModelError(f"{what} cannot be opened: {model_problem(sentence)}") from error
        _explain(chosen, sentence)
        raise ProviderError(f"{chosen.label} refuses {what}: {sentence}") from error
    if chosen.execution_provider not in handle.get_providers():
        _explain(chosen)
        raise ProviderError(
            f"ONNX Runtime could not create {chosen.execution_provider} and would have used "
            f"{', '.join(handle.get_providers())}"
        )
    return handle


def _explain(chosen: Route, sentence: str = "") -> None:
    """Raises the cause of a provider's failure, if its library or its card is the cause."""
    cause, advice = loading_problem(chosen)
    if not cause:
        cause, advice = chosen.explain(sentence)
    if cause:
        raise UnavailableError(cause, advice)
