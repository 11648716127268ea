package packaging

import (
	"fmt"
	"slices"
	"strings"
)

// Package is one file that is made.
type Package struct {
	Program string // nabz-agent, nabz-collector
	Kind    string // deb, ipk
	Arch    string // amd64, arm64, armhf; mips, mipsle, arm, aarch64
	Target  string // what scripts/build-agent and build-collector call it
}

// All are the packages, in the order in which they are made.
func All() []Package {
	var all []Package
	for _, program := range []string{"nabz-agent", "nabz-collector"} {
		for _, a := range []struct{ arch, target string }{{"amd64", "amd64"}, {"arm64", "arm64"}, {"armhf", "armv7"}} {
			all = append(all, Package{program, "deb", a.arch, a.target})
		}
	}
	for _, a := range []struct{ arch, target string }{{"mips", "mips"}, {"mipsle", "mipsle"}, {"arm", "armv7"}, {"aarch64", "arm64"}} {
		all = append(all, Package{"nabz-agent", "ipk", a.arch, a.target})
	}
	return all
}

// String is how a package is asked for, such as "agent:amd64.deb".
func (p Package) String() string {
	return strings.TrimPrefix(p.Program, "nabz-") + ":" + p.Arch + "." + p.Kind
}

// File is the name of the package's file.
func (p Package) File(version string) string {
	return p.Program + "_" + version + "_" + p.Arch + "." + p.Kind
}

// Choose reads names as String writes them; none are all.
func Choose(names []string) ([]Package, error) {
	if len(names) == 0 {
		return All(), nil
	}
	var chosen []Package
	for _, name := range names {
		i := slices.IndexFunc(All(), func(p Package) bool { return p.String() == name })
		if i < 0 {
			var known []string
			for _, p := range All() {
				known = append(known, p.String())
			}
			return nil, fmt.Errorf("there is no package %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, All()[i])
	}
	return chosen, nil
}
