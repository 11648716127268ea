package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/packaging"
)

// run runs a program of the host that must pass.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAVersionSortsAsReleasesDo(t *testing.T) {
	s := packaging.Source{Commit: strings.Repeat("ab", 20), Time: time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC)}
	for _, row := range []struct {
		name    string
		tags    []string
		changed bool
		want    string
	}{
		{"a commit without a tag", nil, false, "0.7.0~git202611280430.abababababab"},
		{"the commit that is the release", []string{"v0.7.0", "other"}, false, "0.7.0"},
		{"the tag of another release", []string{"v0.6.0"}, false, "0.7.0~git202611280430.abababababab"},
		{"a tree that is not as the commit", nil, true, "0.7.0~git202611280430.abababababab+changed"},
		{"a tree that is not as the release", []string{"v0.7.0"}, true, "0.7.0~git202611280430.abababababab+changed"},
	} {
		if got := packaging.VersionOf("0.7.0", row.tags, s, row.changed); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	dpkg := testneed.Program(t, "dpkg", "apt-get install dpkg")
	order := []string{"0.6.0", "0.7.0~git202611280430.abababababab", "0.7.0~git202611280431.00aa", "0.7.0", "0.7.1~git202612010000.ffff"}
	for i := range len(order) - 1 {
		if err := exec.CommandContext(t.Context(), dpkg, "--compare-versions", order[i], "lt", order[i+1]).Run(); err != nil {
			t.Errorf("%s does not sort before %s", order[i], order[i+1])
		}
	}
}

func TestAVersionThatDpkgWouldRefuseIsRefusedBefore(t *testing.T) {
	root := packtest.Root(t)
	for _, version := range []string{"v0.7.0", "0.7.0 x", "0.7/1", "0.7.0-", "1:0.7.0", "0.7.0\n"} {
		if _, err := packaging.Look(t.Context(), root, version); err == nil || !strings.Contains(err.Error(), "cannot be the version of a package: want a number first") {
			t.Errorf("%q: %v", version, err)
		}
	}
	for _, version := range []string{"0.7.0", "0.7.0~before", "0.7.0-gokina1", "0.7.0~git202611280430.161f83a50a8f+changed"} {
		if _, err := packaging.Look(t.Context(), root, version); err != nil {
			t.Error(err)
		}
	}
}

func TestAPackageThatDoesNotExistIsNamedWithThoseThatDo(t *testing.T) {
	_, err := packaging.Choose([]string{"agent:amd64.deb", "agent:riscv.deb"})
	if err == nil || !strings.Contains(err.Error(), `there is no package "agent:riscv.deb"; there are agent:amd64.deb, `) {
		t.Errorf("got %v", err)
	}
}

func TestALicenceIsKnownByItsWords(t *testing.T) {
	for want, text := range map[string]string{
		"Apache-2.0":   "                                 Apache License\n                           Version 2.0, January 2004",
		"MIT":          "Permission is hereby granted, free of charge, to any person …\nThe above copyright notice and this\npermission notice shall be included",
		"BSD-3-Clause": "Redistribution and use in source and binary forms … may be used to endorse or promote products",
		"BSD-2-Clause": "Redistribution and use in source and binary forms, with or without",
		"EPL-2.0":      "Eclipse Public License - v 2.0",
		"":             "This product includes software developed at",
	} {
		if got := packaging.LicenceOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// budget of the agent's package, bytes: docs/design.md.
const budget = 3_200_000

func TestEveryPackageHoldsWhatItShouldAndRuns(t *testing.T) {
	testneed.Long(t)
	deb := testneed.Program(t, "dpkg-deb", "apt-get install dpkg")
	all := packaging.All()
	files := packtest.Make(t, "0.7.0~test")
	for i, p := range all {
		t.Run(p.String(), func(t *testing.T) {
			root := t.TempDir()
			if p.Kind == "deb" {
				run(t, deb, "-x", files[i], root)
				for field, want := range map[string]string{"Package": p.Program, "Version": "0.7.0~test", "Architecture": p.Arch} {
					if got := strings.TrimSpace(run(t, deb, "-f", files[i], field)); got != want {
						t.Errorf("%s: %q, want %q", field, got, want)
					}
				}
			} else {
				run(t, "sh", "-c", `cd "$1" && tar -xzf "$2" && tar -xzf data.tar.gz && grep -q "^Architecture: all$" <<-EOF
				$(tar -xzOf control.tar.gz ./control)
				EOF`, "sh", root, files[i])
			}
			var list []string
			for _, file := range holds(p) {
				if _, err := os.Stat(root + file); err != nil {
					t.Errorf("lacks %s", file)
				}
				list = append(list, file)
			}
			if len(list) < 6 {
				t.Fatalf("only %v are looked for", list)
			}
			said := run(t, testneed.Program(t, qemu[p.Target], "apt-get install qemu-user-static"), root+"/usr/bin/"+p.Program, "--version")
			if !strings.HasPrefix(said, p.Program+" "+command.Release+" (") {
				t.Errorf("it says %q", said)
			}
			info, err := os.Stat(files[i])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d B", info.Size())
			if p.Program == "nabz-agent" && info.Size() > budget {
				t.Errorf("%d B, more than %d", info.Size(), budget)
			}
			parts(t, files[i]+".cdx.json", p)
		})
	}
}

// qemu runs the programs of each target.
var qemu = map[string]string{"amd64": "env", "arm64": "qemu-aarch64-static", "armv7": "qemu-arm-static", "mips": "qemu-mips-static", "mipsle": "qemu-mipsel-static"}

// holds is what a package must not lack.
func holds(p packaging.Package) []string {
	name := p.Program
	if p.Kind == "ipk" {
		return []string{"/usr/bin/" + name, "/etc/init.d/nabz-agent", "/etc/config/nabz-agent", "/usr/share/nabz/uci.awk", "/usr/share/nabz/LICENSES.gz", "/usr/share/nabz/nabz-agent.cdx.json.gz", "/lib/upgrade/keep.d/nabz-agent"}
	}
	list := []string{"/usr/bin/" + name, "/usr/lib/systemd/system/" + name + ".service", "/usr/lib/sysusers.d/" + name + ".conf", "/usr/lib/tmpfiles.d/" + name + ".conf",
		"/usr/share/man/man8/" + name + ".8.gz", "/usr/share/man/man5/" + name + ".toml.5.gz", "/usr/share/bash-completion/completions/" + name, "/usr/share/zsh/vendor-completions/_" + name,
		"/usr/share/fish/vendor_completions.d/" + name + ".fish", "/usr/share/doc/" + name + "/copyright", "/usr/share/doc/" + name + "/LICENSES.gz", "/usr/share/doc/" + name + "/changelog.gz",
		"/usr/share/doc/" + name + "/CHANGELOG.md.gz", "/usr/share/doc/" + name + "/" + name + ".cdx.json", "/etc/nabz"}
	if name == "nabz-collector" {
		list = append(list, "/usr/lib/systemd/system/nabz-collector-renew.timer", "/usr/share/doc/nabz-collector/examples/sites.csv")
	}
	return list
}

// parts reads the list of what others made: each has a licence, and those that must be there are.
func parts(t *testing.T, file string, p packaging.Package) {
	t.Helper()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(read(t, file)), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range *bom.Components {
		names = append(names, c.Name)
		if c.Licenses == nil || c.Version == "" || c.PackageURL == "" {
			t.Errorf("%s: %+v lacks licence, version or address", file, c)
		}
	}
	want := []string{"std", "github.com/eclipse/paho.mqtt.golang"}
	if p.Program == "nabz-agent" {
		want = append(want, "github.com/shirou/gopsutil/v3")
	} else {
		want = append(want, "github.com/influxdata/influxdb-client-go/v2", "leaflet", "@fontsource/noto-nastaliq-urdu")
	}
	for _, w := range want {
		if !slices.Contains(names, w) {
			t.Errorf("%s lacks %s: %v", file, w, names)
		}
	}
	if slices.Contains(names, "github.com/goreleaser/nfpm/v2") {
		t.Errorf("%s: what makes packages is in the program", file)
	}
}
