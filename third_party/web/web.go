package web

import "embed"

// Files holds one folder for each library: uplot/uPlot.esm.js (an ES module), uplot/uPlot.min.css, uplot/LICENSE.
//
//go:embed uplot
var Files embed.FS
