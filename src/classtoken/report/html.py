"""One self-contained page: no script, no font and no picture from anywhere else; light and dark; prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CSS = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--ground:#fff;--panel:#f6f8fa;--mark:#8a6200}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--line:#3d444d;--ground:#0d1117;
--panel:#161b22;--mark:#ffc83d}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1120px;padding:24px 20px 64px;background:var(--ground);
color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:break-word}
h1{font-size:26px;line-height:1.25;margin:.2em 0 .1em;overflow-wrap:anywhere}
h2{font-size:19px;margin:2.2em 0 .2em;padding-top:.6em;
border-top:1px solid var(--line)}p{max-width:75ch;margin:.5em 0}.lead{color:var(--soft)}.hero{color:var(--mark);
font-weight:600}.row{display:flex;flex-wrap:wrap;gap:22px 26px;align-items:flex-start;margin:.9em 0}
.row>*{min-width:0;max-width:100%}table{border-collapse:collapse;margin:.8em 0;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}th,td{padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right}td.n{white-space:nowrap}
th{font-weight:600;color:var(--soft)}details{margin:.6em 0}summary{cursor:pointer;
color:var(--soft)}.note{border-left:3px solid var(--mark);padding:.2em 0 .2em .8em;margin:.8em 0}
.near{display:flex;flex-wrap:wrap;gap:8px;align-items:stretch}.near>div{width:90px;font-size:12px;line-height:1.3;
overflow-wrap:anywhere;padding:6px;border:1px solid var(--line);border-left-width:5px;border-radius:4px;
background:var(--panel)}.near .said{width:190px;font-size:13px}.near img{display:block;max-width:100%;margin:0 auto 4px}
.near .right{border-left-color:#0072B2}.near .wrong{border-left:5px dashed #D55E00}
.near b,.near small{display:block;font-size:12px}
.beside{display:flex;flex-wrap:wrap;gap:8px 26px;align-items:flex-start}.beside .lead{margin:.3em 0}
.beside>:first-child{flex-basis:100%}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--panel);padding:8px 10px}
.words{line-height:2.6;max-width:100%}.word{display:inline-block;padding:0 5px;margin:0 2px 4px 0;border-radius:4px;
line-height:1.3;text-align:center;vertical-align:top}.word small{display:block;font-size:10px}
.word[style],.heat td[style]{forced-color-adjust:none}
.special{border:1px dashed var(--soft);color:var(--soft)}.ends{color:var(--soft);font-size:12px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px;margin:.9em 0}
.card{border:1px solid var(--line);border-radius:6px;background:var(--panel);padding:10px;min-width:0;
overflow-wrap:anywhere;font-size:13px;line-height:1.4}.card b{font-weight:600}
.card img{display:block;width:100%;height:170px;object-fit:contain;margin-bottom:8px}
.card small{display:block;color:var(--soft)}.heat td{padding:3px 6px;text-align:center;border:1px solid var(--ground);
min-width:2.4em}.heat th{padding:3px 8px 3px 0}.heat tbody th{position:sticky;left:0;background:var(--ground);
max-width:15em;min-width:6em;font-weight:400;line-height:1.2}.heat thead th{vertical-align:bottom;padding:6px 2px;
font-weight:400}.heat thead span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:20em;
line-height:1.05;font-size:12px}
.section>summary{border-top:1px solid var(--line);margin-top:.7em;padding-top:.5em;color:var(--ink)}
.section>summary h2{display:inline;border:0;margin:0;padding:0}
.section>summary .result{display:block;margin:.1em 0 .3em 1.1em}.verdict{font-size:17px;max-width:70ch}
.gone{text-decoration:line-through 2px}
.maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:6px 34px}
.maps h3{margin:.9em 0 0}.row h3{font-size:14px;margin:0 0 .2em;max-width:400px}
figure>h3~figcaption{max-width:400px}
@media (min-width:1000px){.two{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:0 40px}}
figure{margin:0}figcaption{color:var(--soft);font-size:13px;max-width:240px}nav ol{columns:2;padding-left:1.3em;
max-width:75ch}a{color:inherit}
.asked{max-width:75ch;border-left:3px solid var(--mark);padding:.2em 0 .2em .8em;margin:.8em 0}
.asked small{color:var(--soft)}.asked img{display:block;max-width:100%;max-height:224px;border-radius:4px}
.hits{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:18px;list-style:none;padding:0}
.hits li{min-width:0;overflow-wrap:anywhere;background:var(--panel);border:1px solid var(--line);border-radius:8px;
padding:10px}.hits img{display:block;max-width:100%;height:180px;object-fit:contain;margin:0 auto;border-radius:4px}
.hits h3{font-size:13px;margin:.5em 0 .2em;font-weight:600}.hits p{margin:0;font-size:14px}
.hits dl{margin:0;font-size:12px;color:var(--soft)}.hits dt{margin-top:.35em}.hits dd{color:var(--ink)}
.pairs{list-style:none;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:16px}
.pairs li{min-width:0;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:8px 12px}
.pairs h3{margin:0 0 .3em;font-size:14px}.pairs li>div{display:grid;grid-template-columns:1fr 1fr;gap:12px}
.given{display:flex;flex-wrap:wrap;gap:14px;align-items:flex-end;margin-top:10px}
.given img{max-width:100%;height:120px;width:auto;display:block}
.pairs figure{min-width:0;overflow-wrap:anywhere}.pairs img{max-width:100%;height:150px;object-fit:contain}
.pairs p{margin:0;font-size:14px}.goes{color:var(--mark)}.hits dd{margin:0}
.score{color:var(--mark);font-variant-numeric:tabular-nums}
@media print{body{max-width:none;padding:0}h2,h3,h2+p{break-after:avoid}
.wide{overflow:visible}.wide svg{max-width:100%;height:auto}.near>div{width:64px;font-size:9px}
.heat{font-size:9px}.heat td{padding:1px;min-width:1.6em}
*{print-color-adjust:exact}
p,tr,pre,figure,.note,.entry,.card,.hits li,.pairs li{break-inside:avoid}
details:not(.section,[open])>summary{list-style:none}
details:not(.section,[open])>summary::after{content:": to be opened on the page"}
.section>summary{list-style:none}.section::details-content{content-visibility:visible;block-size:auto}}
@page{margin:14mm}
@media (max-width:520px){body{padding:16px 12px}th,td{padding-right:8px;font-size:14px}
nav ol{columns:1}.heat tbody th{max-width:9em}
.near>div{width:calc(25% - 8px)}.near .said{width:calc(50% - 8px)}}
""".strip()
MARKUP = re.compile(r"<(svg|pre|style|title)\b.*?</\1>|<[^>]*>", re.DOTALL)
"""what is no text to be broken: tags, and what stands as it is"""
LONG_NAME = re.compile(r"(?:&#?\w+;|[^\s&]){8,}")
JOINT = re.compile(r"(?<=\w)([_/-]+|\.(?!\d))(?=\w)")
_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
TURNED = re.compile(rf"[{_RIGHT}](?:[{_RIGHT}\s.,:;!?'-]*[{_RIGHT}])?")
"""words of a script that runs from right to left, with what stands between them"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """A heading, what it says in a sentence or two (plain text), and its figures (HTML)."""

    title: str
    says: str
    body: str = ""
    mind: str = ""
    """what not to conclude; drawn as a note"""
    folded: bool = False
    """whether it waits to be opened"""
    beside: bool = False
    """whether it stands beside the section before it, where the window is wide enough for both"""
    result: str = ""
    """what was found, in a line that is seen while the section is folded"""


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page. `title`, `lead`, `says` and `mind` are plain text; bodies are HTML made by this package."""
    contents = "".join(f'<li><a href="#s{n}">{escape(s.title)}</a></li>' for n, s in enumerate(sections))
    nav = f'<nav aria-label="Contents"><ol>{contents}</ol></nav>'
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body>",
        f'<header><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p></header>',
        f"{'' if len(sections) < 2 or any(s.folded for s in sections) else nav}<main>",
    ]
    for n, section in enumerate(sections):
        note = f'<p class="note">{escape(section.mind)}</p>' if section.mind else ""
        heading = f'<h2 id="s{n}">{escape(section.title)}</h2>'
        inside = f"<p>{escape(section.says)}</p>{section.body}{note}"
        if section.folded:
            result = f'<span class="result">{escape(section.result)}</span>' if section.result else ""
            inside = f'<details class="section"><summary>{heading}{result}</summary>{inside}</details>'
        else:
            inside = heading + inside
        parts.append(f'<section aria-labelledby="s{n}">{inside}</section>')
        if section.beside:
            parts.append(f'<div class="two">{parts.pop(-2)}{parts.pop()}</div>')
    parts.append("</main></body></html>\n")
    return breakable("\n".join(parts))


def breakable(html: str) -> str:
    """The same HTML whose long names may be broken where a reader would break them: behind `_ / . -` between letters or
    digits, and so not in the middle of a word; words from right to left leave the sentence around them in order."""
    made, at = [], 0
    for found in MARKUP.finditer(html):
        made += [_readable(html[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*made, _readable(html[at:])])


def _readable(text: str) -> str:
    """Text with its long names breakable, and each run of words from right to left kept apart from what follows it."""
    return LONG_NAME.sub(_with_joints, TURNED.sub(r"<bdi>\g<0></bdi>", text))


def _with_joints(name: re.Match[str]) -> str:
    return JOINT.sub(r"\1<wbr>", name[0])


def row(*items: str) -> str:
    """Figures side by side, wrapping where the window is narrow."""
    return f'<div class="row">{"".join(f"<figure>{item}</figure>" for item in items)}</div>'


def as_given(original: str | None, got: str | None) -> str:
    """A picture as it was given, beside what the model gets of it; nothing where there is no picture."""
    if original is None or got is None:
        return ""
    both = ((original, "as it was given"), (got, "what the model gets of it"))
    return f'<div class="given">{"".join(_captioned(source, says) for source, says in both)}</div>'


def _captioned(source: str, says: str) -> str:
    return f'<figure><img src="{source}" alt="the picture, {says}"><figcaption>{says}</figcaption></figure>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of plain text; columns in `numbers` stand at the right."""

    def cells(values: Sequence[str], tag: str) -> str:
        tags = [tag if v else "td" for v in values]  # a corner without words is no heading
        return "".join(
            f"<{t}{' class=n' if i in numbers else ''}>{escape(v)}</{t}>"
            for i, (t, v) in enumerate(zip(tags, values, strict=True))
        )

    body = "".join(f"<tr>{cells(values, 'td')}</tr>" for values in rows)
    whole = f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{whole}</div>'  # what scrolls must be reached by the keyboard


def folded(summary: str, body: str) -> str:
    """Something to open when wanted."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"
