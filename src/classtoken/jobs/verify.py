"""`verify`: whether a folder of vectors is whole and whose it is, and what other people's vectors really are."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.options import VerifyOptions
from classtoken.options.base import refuse_given
from classtoken.places import Place, place_of
from classtoken.results.verify import Diagnosis, VerifyResult
from classtoken.sink import verify as whole
from classtoken.sink.manifest import Manifest, read_manifest
from classtoken.values import Precision

if TYPE_CHECKING:  # a folder alone is looked at without torch
    from classtoken.embedder import Embedder


def verify(
    folder: str | Path | None, model: "str | Path | Embedder | None", options: VerifyOptions
) -> VerifyResult | Diagnosis:
    """Look at a folder of ours, or at somebody's vectors: see `classtoken.verify`."""
    given = (("a folder", folder), ("`endpoint`", options.endpoint), ("`against`", options.against))
    what = [name for name, value in given if value is not None]
    if len(what) != 1:
        raise OptionError(f"give one of a folder, `endpoint` and `against`; {' and '.join(what) or 'none'} is given.")
    _check_used(folder is not None, model is not None, options)
    if folder is not None:
        return _folder(place_of(folder), model, options)
    if model is None:
        raise OptionError("`model` is missing: what the vectors should be is said by the model that they are meant of.")
    return _others(model, options)


def _check_used(ours: bool, has_model: bool, options: VerifyOptions) -> None:
    """Raises `OptionError` for options that would move nothing, as a prompt where nothing is computed."""
    if options.endpoint is None:
        refuse_given(options, ("service_model", "api_key_file"), "only with `endpoint`, a service that is asked")
    if options.against is None:
        refuse_given(options, ("text_column", "vector_column"), "only with `against`, a file of somebody's vectors")
    if ours:
        refuse_given(options, ("prompt", "prompt_text"), "not with a folder, which says itself how it was made")
    else:
        refuse_given(options, ("clean",), "only with a folder of vectors of classtoken's own")
    if not has_model:
        refuse_given(options, ("device", "revision", "accept"), "only with `model`, whose vectors are compared")


def _others(model: "str | Path | Embedder", options: VerifyOptions) -> Diagnosis:
    from classtoken.audit.diagnosis import diagnose
    from classtoken.audit.hypotheses import TextReader
    from classtoken.audit.sampling import asked, chosen
    from classtoken.audit.services import VectorService
    from classtoken.audit.stored import read_stored
    from classtoken.embedder import load, with_prompt

    embedder = load(model, device=options.device, revision=options.revision, accept=options.accept)
    if "text" not in embedder.modalities:
        raise OptionError(f"'{embedder.name}' reads images, and only vectors of texts can be looked at.")
    embedder, prompt = with_prompt(embedder, "text", options.prompt, options.prompt_text)
    reader = TextReader(embedder, prompt=prompt)
    if options.endpoint is not None:
        service = VectorService(options.endpoint, name=options.service_model, key=_key(options.api_key_file))
        return diagnose(reader, asked(reader, service), model=embedder.name, of=service.address)
    place = options.against
    assert place is not None
    stored = read_stored(place, text_column=options.text_column, vector_column=options.vector_column)
    return diagnose(reader, chosen(reader, stored), model=embedder.name, of=place.as_posix())


def _folder(place: Place, model: "str | Path | Embedder | None", options: VerifyOptions) -> VerifyResult:
    found = whole(place, clean=options.clean)
    if model is None:
        return found
    from classtoken.audit.golden import prove
    from classtoken.embedder import Embedder, name_of

    manifest = read_manifest(place)
    embedder = model if isinstance(model, Embedder) else _as_made(name_of(model), manifest, options)
    return replace(found, proof=prove(place, manifest, embedder, model=embedder.name))


def _as_made(model: str, manifest: Manifest, options: VerifyOptions) -> "Embedder":
    """The model, read out as the folder's vectors were: by the whole contract, unless other columns or spaces say that
    poolings were named."""
    from classtoken.embedder import ModelSpec, load

    made, precision = manifest.fingerprint, cast(Precision, manifest.fingerprint.precision)
    spec = ModelSpec(model, None, made.normalize, precision, options.device, options.revision, options.accept)
    whole_contract = load(spec)
    if made.modality not in whole_contract.modalities:
        reads = " and ".join(whole_contract.modalities)
        raise OptionError(f"'{model}' reads {reads}, and the folder holds vectors of {made.modality}s.")
    if tuple(whole_contract.columns(modality=made.modality)) == made.poolings:
        if whole_contract.fingerprint(modality=made.modality).spaces == made.spaces:
            return whole_contract
        named = load(replace(spec, pooling=",".join(made.poolings)))
        same = named.fingerprint(modality=made.modality).spaces == made.spaces
        return named if same else whole_contract
    return load(replace(spec, pooling=",".join(made.poolings)))


def _key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return user_path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"`api_key_file` is '{path}', which cannot be read ({error}).") from None
