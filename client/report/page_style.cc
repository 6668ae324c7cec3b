#include "client/report/page_style.h"

namespace headstart::client {

absl::string_view PageStyleSheet() {
  return R"(:root{color-scheme:light dark;--paper:#fff;--ink:#1c1e21;--soft:#565b63;
--line:#d6d9de;--tint:#f3f5f8;--link:#00548a;--warn:#8a4b00;--warn-tint:#fff6e5}
@media screen and (prefers-color-scheme:dark){:root{--paper:#16181c;--ink:#e9eaec;
--soft:#a9afb8;--line:#3a3f47;--tint:#20242a;--link:#7cc0f5;--warn:#f0b860;--warn-tint:#2c2518}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1.25rem 3rem;max-width:62rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;
overflow-wrap:break-word}
h1{font-size:1.9rem;line-height:1.2;margin:.5rem 0 .25rem}
h2{font-size:1.35rem;line-height:1.25;margin:2.75rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.75rem 0 .25rem}
p{margin:.6rem 0;max-width:46rem}
a{color:var(--link)}
.subtitle,.remark,footer,caption,figcaption{color:var(--soft)}
.subtitle{margin:0 0 1rem}
.remark,figcaption{font-size:.875rem;max-width:46rem}
#summary h2{border:0;padding:0;margin-top:1.25rem}
#summary p{font-size:1.125rem}
nav ul{list-style:none;margin:1rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.9375rem}
.warnings{margin:1rem 0;padding:.75rem 1rem;border-left:4px solid var(--warn);background:var(--warn-tint);max-width:46rem}
.warnings strong{color:var(--warn)}
.warnings ul{margin:.25rem 0 0;padding-left:1.25rem}
.table{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.875rem;line-height:1.35}
caption{text-align:left;padding:0 0 .5rem;font-size:.875rem;max-width:46rem}
th,td{padding:.35rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{padding-left:.4rem}
thead th{vertical-align:bottom;font-weight:600;border-bottom:2px solid var(--soft);max-width:11rem}
thead .group{text-align:center;border-bottom:1px solid var(--line)}
tbody th{font-weight:500}
abbr[title]{text-decoration:underline dotted var(--soft);text-underline-offset:3px;cursor:help}
.number{text-align:right;font-variant-numeric:tabular-nums}
tbody th,tbody td{white-space:nowrap}
tbody .text{white-space:normal;min-width:9rem;max-width:30rem}
.more td{white-space:normal}
.marked>*{background:var(--tint)}
.marked th{font-weight:700}
.more td{color:var(--soft)}
figure{margin:1.25rem 0}
figure svg{display:block}
pre{margin:.75rem 0;padding:.75rem 1rem;background:var(--tint);border:1px solid var(--line);border-radius:4px;
font:.8125rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
dl{max-width:46rem}
dt{font-weight:600;margin-top:.6rem}
dd{margin:0}
footer{margin-top:3rem;padding-top:.75rem;border-top:1px solid var(--line);font-size:.8125rem}
@page{margin:15mm 14mm}
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--line:#bbb;--tint:#f2f2f2;--link:#000;--warn:#000;--warn-tint:#fff}
body{max-width:none;padding:0;font-size:10pt;line-height:1.4}
h1{font-size:18pt}h2{font-size:13pt;margin-top:1.5rem}h3{font-size:11pt}
#summary p{font-size:11pt}
p,.remark,figcaption,caption,dl,.warnings{max-width:none}
nav,.save{display:none}
h2,h3,caption{break-after:avoid}
figure,tr,.warnings,dl>*{break-inside:avoid}
.table{overflow:visible}
table{font-size:8.5pt}
th,td{padding:.2rem .45rem}
.marked>*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
figure svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}
pre{font-size:8pt}
abbr[title]{text-decoration:none}}
)";
}

}  // namespace headstart::client
