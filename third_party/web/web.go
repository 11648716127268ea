package web

import "embed"

// Files holds one folder for each package: uplot/uPlot.esm.js (an ES module), uplot/uPlot.min.css, uplot/LICENSE, leaflet/leaflet.js …
//
//go:embed uplot leaflet supercluster topojson-client world-atlas
var Files embed.FS
