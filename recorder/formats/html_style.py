"""The style sheet of the HTML transcript."""

from __future__ import annotations

from typing import Final

#: The contents and what is said before everything come last in the document, where they are known, and stand first.
STYLE: Final = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2026;--dim:#5d6673;--line:#d9dee5;--card:#f5f7f9;--link:#0b57d0;
--user:#1f6feb;--assistant:#1a7f37;--system:#8250df;--tool:#9a6700;--good:#1a7f37;--warn:#9a6700;--bad:#c1121f;
--goodback:#e6f4ea;--warnback:#fff6dc;--badback:#fdeaea;--charback:#ffe0e0}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e3e7ec;--dim:#98a2b0;--line:#323942;
--card:#1c2127;--link:#8ab4f8;--user:#79b8ff;--assistant:#6fd08c;--system:#c8a2ff;--tool:#e3b341;--good:#6fd08c;--warn:#e3b341;
--bad:#ff8a8a;--goodback:#16301f;--warnback:#342a10;--badback:#3a1a1c;--charback:#5a2226}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
.page{display:grid;grid-template:"head" "first" "toc" "main"/minmax(0,1fr);gap:1rem 2.5rem;max-width:80rem;
margin:0 auto;padding:1.5rem}
.page>header{grid-area:head}.page>.first{grid-area:first}.page>nav{grid-area:toc}.page>main{grid-area:main}
@media (min-width:60rem){.page{grid-template:"head head" "first first" "toc main" 1fr/17rem minmax(0,1fr)}
.page>header .skip{display:none}
.page>nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;padding:1rem 0}}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0}
h2{font-size:1.1rem;margin:0;display:flex;flex-wrap:wrap;gap:.3rem .7rem;align-items:baseline}
h2 code{font-weight:400;font-size:.75rem;color:var(--dim);background:none;padding:0}
h3{font-size:.85rem;margin:0 0 .3rem;letter-spacing:.02em;color:var(--role,var(--dim))}
a{color:var(--link)}:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:.2rem}
h2 a{color:inherit;text-decoration:none}h2 a:hover{text-decoration:underline}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875em}
code{unicode-bidi:isolate;background:var(--card);border-radius:.25rem;padding:.1em .3em}
.text,.mono{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;tab-size:4;margin:.25rem 0}
.segment{display:block;unicode-bidi:plaintext;content-visibility:auto;contain-intrinsic-size:auto 40rem}
.mono{background:var(--card);border:1px solid var(--line);border-radius:.4rem;padding:.5rem .7rem}
.char{background:var(--charback);color:var(--bad);border-radius:.2rem;padding:0 .2em;font:600 .75em ui-monospace,
monospace;unicode-bidi:isolate}
.dim,.facts{color:var(--dim)}.facts{margin:.3rem 0 1rem;font-size:.8125rem;font-variant-numeric:tabular-nums}
h2.conversation{font-size:1.3rem;margin:2.5rem 0 .8rem}
nav h2{font-size:.85rem;color:var(--dim)}nav ol{list-style:none;margin:.4rem 0;padding:0;font-size:.875rem}
nav li a{display:block;padding:.3rem .5rem;border-left:3px solid var(--mark,var(--line));text-decoration:none}
nav li a:hover{background:var(--card)}nav small{color:var(--dim);display:block}
.exchange{border-top:1px solid var(--line);padding:1.5rem 0}
.message{--tint:color-mix(in srgb,var(--role,var(--dim)) 6%,var(--paper));background:var(--tint);
border-left:3px solid var(--role,var(--line));border-radius:0 .5rem .5rem 0;padding:.6rem 1rem;margin:.8rem 0}
.message>:last-child{margin-bottom:0}
.user{--role:var(--user)}.assistant{--role:var(--assistant)}.system{--role:var(--system)}.tool{--role:var(--tool)}
.part{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;margin:.5rem 0}
.part>p{margin:0 0 .2rem;font-size:.875rem}.part>p code{color:var(--ink)}
.message.tool>.text{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--dim);font-size:.875rem}
.reasoning{border-left:2px dashed var(--line);padding-left:.8rem}.reasoning .text{color:var(--dim)}
.verdict{font-size:.75rem;font-weight:600;border-radius:1rem;padding:.1rem .6rem;background:var(--back);
color:var(--mark)}
.banner{border-left:4px solid var(--mark);background:var(--back);border-radius:.3rem;padding:.6rem .9rem;margin:1rem 0}
.banner p{margin:.2rem 0}
.banner th{text-align:left;vertical-align:top;padding-right:1rem;font-weight:400;color:var(--dim)}
.linked{--mark:var(--link);--back:var(--card)}
.complete{--mark:var(--good);--back:var(--goodback)}.errored,.changed{--mark:var(--bad);--back:var(--badback)}
.truncated,.aborted_by_client,.unknown,.unfinished,.history{--mark:var(--warn);--back:var(--warnback)}
.unfinished{color:var(--warn);font-weight:600}
@media (max-width:40rem){.page{padding:1rem .8rem}.message{padding:.5rem .7rem}}
@media print{:root{color-scheme:light}.page{display:block;max-width:none;padding:0}.page>header .skip{display:none}
.page>nav{position:static;max-height:none}.segment{content-visibility:visible}body{font-size:10pt}
.message,.banner,.verdict,.part,nav li a{print-color-adjust:exact}h2,h3,.facts{break-after:avoid}
.banner,.part{break-inside:avoid-page}details::details-content{content-visibility:visible;display:block;block-size:auto}}
"""
