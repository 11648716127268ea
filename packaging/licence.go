package packaging

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// isLicence tells by its name whether a file holds a licence, or what a licence wants to be passed on.
func isLicence(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".json") {
		return false
	}
	for _, word := range []string{"license", "licence", "copying", "notice", "copyright", "edl-v10", "epl-v20"} {
		if strings.HasPrefix(name, word) {
			return true
		}
	}
	return false
}

// licenceIn reads the licence files of a module's folder.
func licenceIn(dir string) (id string, texts []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, fmt.Errorf("read its licence: %w; go mod download fetches it", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() || !isLicence(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", nil, err
		}
		texts = append(texts, string(b))
		if one := LicenceOf(string(b)); one != "" && !slices.Contains(ids, one) {
			ids = append(ids, one)
		}
	}
	switch {
	case len(texts) == 0:
		return "", nil, fmt.Errorf("no licence file in %s", dir)
	case len(ids) == 0:
		return "", nil, fmt.Errorf("the licence in %s is none that is known here; add its words to packaging/licence.go", dir)
	}
	slices.Sort(ids)
	return strings.Join(ids, " AND "), texts, nil
}

// marks are words by which a licence is known, and its SPDX name.
type marks struct {
	id  string
	all []string
}

// known are the licences that are known, the more special first.
func known() []marks {
	return []marks{
		{"EPL-2.0", []string{"eclipse public license", "2.0"}},
		{"BSD-3-Clause", []string{"eclipse distribution license"}},
		{"Apache-2.0", []string{"apache license", "version 2.0"}},
		{"MPL-2.0", []string{"mozilla public license", "version 2.0"}},
		{"OFL-1.1", []string{"sil open font license", "version 1.1"}},
		{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "endorse or promote"}},
		{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}},
		{"MIT", []string{"permission is hereby granted, free of charge", "the above copyright notice and this permission notice"}},
		{"ISC", []string{"permission to use, copy, modify, and/or distribute this software"}},
		{"Unlicense", []string{"released into the public domain"}},
	}
}

// LicenceOf is the SPDX name of a licence text, "" for one that is not known, such as a notice.
func LicenceOf(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, w := range known() {
		if !slices.ContainsFunc(w.all, func(s string) bool { return !strings.Contains(text, s) }) {
			return w.id
		}
	}
	return ""
}

// licences is one text with every licence, each once, and who is under it.
func licences(program string, parts []Part) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is under the Apache License 2.0. It holds parts that others have made, listed here with\nthe licences under which they are passed on.\n\n", program)
	type text struct {
		what string
		who  []string
	}
	var texts []*text
	at := map[string]*text{}
	for _, p := range parts {
		fmt.Fprintf(&b, "%s %s: %s\n", p.Name, p.Version, p.Licence)
		for _, what := range p.Texts {
			key := strings.Join(strings.Fields(what), " ")
			if at[key] == nil {
				at[key] = &text{what: what}
				texts = append(texts, at[key])
			}
			at[key].who = append(at[key].who, p.Name)
		}
	}
	for _, t := range texts {
		fmt.Fprintf(&b, "\n%s\n%s:\n\n%s\n", strings.Repeat("-", 72), strings.Join(t.who, ", "), strings.TrimSpace(t.what))
	}
	return b.String()
}

// zipped is gzip at its best, with neither name nor time.
func zipped(text []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is right
	}
	_, _ = w.Write(text) // into memory
	_ = w.Close()
	return b.Bytes()
}
