package fonts

import "embed"

// Files holds one folder for each package, with its licences: expo-google-fonts/open-sans (Latin, Greek, Cyrillic, Hebrew), fontsource/noto-naskh-arabic and
// fontsource/noto-nastaliq-urdu (the Arabic script alone), each regular (400) and bold (700).
//
//go:embed expo-google-fonts fontsource
var Files embed.FS
