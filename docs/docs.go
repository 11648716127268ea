package docs

import "embed"

// Pages holds the pages by their names in this folder.
//
//go:embed *.md examples
var Pages embed.FS
