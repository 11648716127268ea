package conf

import "strings"

// Set sets a key, such as "influx.token" or "site", to a value as it is written in TOML, and leaves all else of the text as it is, comments too. A key
// that is not there comes first in its section, and a section that is not there last.
func Set(text, key, value string) string {
	section, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, name = key[:i], key[i+1:]
	}
	line, header := name+" = "+value+"\n", "["+section+"]"
	var b strings.Builder
	at, behind := "", 0 // the section that we are in; where the text of the wanted one begins, in b
	found := section == ""
	for l := range strings.Lines(text) {
		t := strings.TrimSpace(l)
		if strings.HasPrefix(t, "[") {
			at = strings.Trim(t, "[]")
		}
		if k, _, isKey := strings.Cut(t, "="); isKey && at == section && strings.TrimSpace(k) == name {
			return b.String() + line + text[b.Len()+len(l):]
		}
		b.WriteString(l)
		if t == header && !found {
			found, behind = true, b.Len()
		}
	}
	switch {
	case found:
		return text[:behind] + line + text[behind:]
	case text == "":
		return header + "\n" + line
	}
	return strings.TrimRight(text, "\n") + "\n\n" + header + "\n" + line
}
