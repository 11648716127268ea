package fonts

import "embed"

// Files holds one folder for each package, with its licences: expo-google-fonts/open-sans (Latin, Greek, Cyrillic, Hebrew) in TrueType,
// fontsource/noto-naskh-arabic and fontsource/noto-nastaliq-urdu (the Arabic script alone) in WOFF, which Go can read, and WOFF 2, which is
// smaller on the wire. Each is there regular (400) and bold (700), Nastaliq in bold alone.
//
//go:embed expo-google-fonts fontsource
var Files embed.FS
