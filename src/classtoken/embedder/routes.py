"""Folders that send queries and documents through modules of their own: sentence-transformers' Router (once Asym).

Each route is laid out as a folder by itself, of links: its modules.json lists the modules before the router (an encoder
that all routes share), the route's, and those behind it. So a route is read, settled and checked as any other folder.
"""

import ast
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classtoken.errors import ModelError, OutputError, UnsupportedModel
from classtoken.files import whole_folder, write_text
from classtoken.fingerprint import hash_value
from classtoken.model_folder import USUAL_PROMPTS, Module, read_json, read_modules
from classtoken.plain import to_json
from classtoken.remembered import cache_folder, folder_fingerprint

ROUTERS = ("Router", "Asym")
SETTINGS, MODULES, ROUTER = "config_sentence_transformers.json", "modules.json", "router_config.json"
#: Prompts that sentence-transformers takes for a route beside the one of its own name, in its order.
OWN_PROMPTS: Mapping[str, tuple[str, ...]] = {"document": ("document", "passage", "corpus")}
#: Parameters of a router that are read here.
READ = ("default_route", "allow_empty_key", "route_mappings")


@dataclass(frozen=True)
class TextRoutes:
    """A folder for each route by the name that a text asks for, and which is taken where none is named, if any is."""

    folders: Mapping[str, Path]
    default: str | None


def routes_of(folder: Path) -> TextRoutes | None:
    """The routes of a model folder; None where it has no router.

    Raises `ModelError` for a broken file, `UnsupportedModel` for a router of something else than texts.
    """
    modules = read_modules(folder)
    at = next((place for place, module in enumerate(modules) if module.kind in ROUTERS), None)
    if at is None:
        return None
    router, path = modules[at], modules[at].folder / ROUTER
    written = read_json(path) or read_json(router.folder / "config.json") or {}
    structure, kinds = written.get("structure") or {}, written.get("types") or {}
    parameters = written.get("parameters") or {}
    if not structure or not all(isinstance(part, dict) for part in (structure, kinds, parameters)):
        raise ModelError(f"{path} must list the modules of each route (types, structure). Copy the file again.")
    # behind an encoder a route may add nothing to what all of them share
    if any(not isinstance(listed, list) or not (listed or at) for listed in structure.values()):
        raise ModelError(f"{path} has a route without modules (structure). Copy the file again.")
    mapped = _mapped(path, parameters.get("route_mappings") or {})
    _check_texts(folder, at, structure, mapped)
    tasks = dict.fromkeys([*(task for task, _ in mapped if task is not None), *structure])
    named = {task: _resolved(task, mapped) or task for task in tasks}
    said = parameters.get("default_route")
    wanted = (*named.values(), *mapped.values(), *([said] if said else []))
    lost = next((route for route in wanted if route not in structure), None)
    if lost is not None:
        raise ModelError(f"{path} maps to the route '{lost}', which is not there. Copy the file again.")
    strange = {f"router_{key}": value for key, value in parameters.items() if key not in READ}
    places = {}
    for name, route in named.items():
        listed = [_found(router, str(one), str(kinds.get(one) or ""), path) for one in structure[route]]
        settings = {**strange, **_settings(folder, name, tuple(named))}
        places[name] = _laid_out(folder, name, [*modules[:at], *listed, *modules[at + 1 :]], settings)
    first = next(iter(structure)) if parameters.get("allow_empty_key", True) else None
    by_kind = "text" if "text" in structure else None  # a route for texts goes before the default one
    usual = _resolved(None, mapped) or by_kind or said or first
    return TextRoutes(places, next((name for name, route in named.items() if route == usual), None))


def _mapped(path: Path, written: Mapping[str, Any]) -> dict[tuple[Any, Any], str]:
    """Which route a task and a kind of input take; None stands for any."""
    mapped = {}
    for key, route in dict(written).items():
        try:
            task, kind = ast.literal_eval(key)
        except (ValueError, SyntaxError, TypeError) as error:
            raise ModelError(
                f"{path} has route_mappings {key!r}, which is no pair of task and kind. Copy it again."
            ) from error
        mapped[task, kind] = str(route)
    return mapped


def _check_texts(folder: Path, at: int, structure: Mapping[str, Any], mapped: Mapping[tuple[Any, Any], str]) -> None:
    """Refuse routes for something else than texts, with the lines that save one of them; `at` is the router's place."""
    kinds = [kind for _, kind in mapped if kind not in (None, "text")]
    kinds += [name for name in structure if name in ("image", "audio", "video", "message")]
    if kinds:
        kind = read_modules(folder)[at].kind
        route, before = next(iter(structure)), f"*list(m)[:{at}], " if at else ""
        raise UnsupportedModel(
            f"{folder / MODULES} lists the module '{kind}', one of whose routes is for {kinds[0]!r} "
            f"({', '.join(structure)}); read are routes of texts. Save one with sentence-transformers and name NEW: "
            f"m = SentenceTransformer('{folder}'); SentenceTransformer(modules=[{before}*m[{at}].sub_modules"
            f"['{route}'], *list(m)[{at + 1}:]], prompts=m.prompts, default_prompt_name=m.default_prompt_name, "
            "truncate_dim=m.truncate_dim).save('NEW')."
        )


def _resolved(task: str | None, mapped: Mapping[tuple[Any, Any], str]) -> str | None:
    """The route that a text of a task is mapped to, in sentence-transformers' order."""
    ways = ((task, "text"), (task, None), (None, "text"), (None, None))
    return next((mapped[way] for way in ways if way in mapped), None)


def _found(router: Module, name: str, kind: str, path: Path) -> Module:
    """One module of a route, where it lies."""
    if Path(name).is_absolute() or ".." in Path(name).parts or not kind:
        raise ModelError(f"{path} names the module '{name}', which does not lie in the folder. Copy it there.")
    return Module(kind.rsplit(".", 1)[-1], router.folder / name, (Path(router.name) / name).as_posix(), written=kind)


def _settings(folder: Path, name: str, routes: Sequence[str]) -> dict[str, Any]:
    """The folder's settings for one route: its own prompt under its name, and none of another route's.

    A text that names a route without a prompt has the default one before it, as where nothing is named. The empty
    prompts of queries and documents, which sentence-transformers writes into every folder, are none where no
    route has that name: there a text that asks for it goes no way at all.
    """
    settings = dict(read_json(folder / SETTINGS) or {})
    prompts, usual = dict(settings.get("prompts") or {}), settings.get("default_prompt_name")
    spare = "" if name in USUAL_PROMPTS else prompts.get(usual, "")
    own = next((prompts[one] for one in OWN_PROMPTS.get(name, (name,)) if one in prompts), spare)
    unsaid = {key for key in USUAL_PROMPTS if not prompts.get(key)}
    kept = {key: text for key, text in prompts.items() if key not in (*routes, *unsaid)} | {name: own}
    if usual in prompts and usual not in kept:  # put before a text of any route where no prompt is named
        kept["default"], usual = prompts[usual], "default"
    return {**settings, "prompts": kept, "default_prompt_name": usual}


def _laid_out(folder: Path, name: str, modules: Sequence[Module], settings: Mapping[str, Any]) -> Path:
    """A folder of links to the modules of one route, in the cache; another one where the model changed."""
    listed = [
        {"idx": number, "name": str(number), "path": module.name, "type": module.written}
        for number, module in enumerate(modules)
    ]
    stamp = hash_value([str(folder.resolve()), folder_fingerprint(folder), listed, settings])
    place = cache_folder() / "routes" / stamp / name.replace("/", "_")
    if (place / MODULES).is_file():
        return place
    try:
        with whole_folder(place) as whole:
            for module in modules:
                if module.folder.is_dir():
                    shutil.copytree(module.folder, whole / module.name, copy_function=_link, dirs_exist_ok=True)
            write_text(whole / SETTINGS, to_json(settings))
            write_text(whole / MODULES, to_json(listed))
    except OutputError:
        if not (place / MODULES).is_file():  # another process was quicker
            raise
    return place


def _link(path: str, to: str) -> None:
    if not Path(to).is_symlink():  # a module that is the model's folder itself has brought those below it
        Path(to).symlink_to(Path(path).resolve())
