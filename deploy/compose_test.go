package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestImagesArePinnedByTagAndTheFileSaysWhyNotByDigest(t *testing.T) {
	text := read(t, "compose.yaml")
	if !strings.Contains(text, "pinned by tag and not by digest: ") {
		t.Error("it does not say why images have no digest")
	}
	pinned := regexp.MustCompile(`^[a-z/-]+:\d+\.\d+\.\d+$`)
	images := regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllStringSubmatch(text, -1)
	if len(images) != 4 {
		t.Errorf("found %d images", len(images))
	}
	for _, m := range images {
		if m[1] != "nabz-collector:local" && !pinned.MatchString(m[1]) {
			t.Errorf("image %s has no whole version", m[1])
		}
	}
	if from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1); len(from) != 2 || from[1][1] != "scratch" {
		t.Errorf("the image is made from %q, want a build and then nothing", from)
	}
}

func TestTheImageIsBuiltWithAGoThatTheModuleTakes(t *testing.T) {
	mod := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	image := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+)-`).FindStringSubmatch(read(t, "Dockerfile"))
	if mod == nil || image == nil || mod[1] != image[1] {
		t.Errorf("go.mod says %q, the Dockerfile %q", mod, image)
	}
}

// service is what compose makes of one of the file's.
type service struct {
	Image       string
	User        string
	Command     []string
	Entrypoint  []string
	Environment map[string]string
	Volumes     []string
	Ports       []any
	Secrets     []any
	CapAdd      []string `json:"cap_add"`
	CapDrop     []string `json:"cap_drop"`
	ReadOnly    bool     `json:"read_only"`
	Security    []string `json:"security_opt"`
	Restart     string
	MemLimit    any `json:"mem_limit"`
	PidsLimit   any `json:"pids_limit"`
	Healthcheck *struct{ Test []string }
}

// services has docker-compose check the file against its schema, fill in what .env.example says, and tell what it makes of it. It needs no engine.
func services(t *testing.T) map[string]service {
	t.Helper()
	compose := testneed.Program(t, "docker-compose", "apt-get install docker-compose")
	python := testneed.Program(t, "python3", "apt-get install python3-yaml")
	dir := t.TempDir()
	for from, to := range map[string]string{"compose.yaml": "compose.yaml", ".env.example": ".env"} {
		if err := os.WriteFile(filepath.Join(dir, to), []byte(read(t, from)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var faults bytes.Buffer
	cmd := exec.CommandContext(t.Context(), compose, "--profile", "mosquitto", "--profile", "tools", "config")
	cmd.Dir, cmd.Stderr = dir, &faults
	text, err := cmd.Output()
	if err != nil || faults.Len() > 0 {
		t.Fatalf("docker-compose config: %v\n%s", err, &faults)
	}
	cmd = exec.CommandContext(t.Context(), python, "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &faults
	if text, err = cmd.Output(); err != nil {
		t.Fatalf("read what docker-compose said: %v\n%s", err, &faults)
	}
	var out struct{ Services map[string]service }
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	for name, s := range out.Services {
		for i, v := range s.Volumes { // of this folder
			s.Volumes[i] = strings.Replace(v, dir+"/", "./", 1)
		}
		out.Services[name] = s
	}
	return out.Services
}

func TestEachServiceOfComposeIsConfined(t *testing.T) {
	caps := map[string]string{"init": "CHOWN DAC_OVERRIDE FOWNER", "renew": "CHOWN DAC_OVERRIDE FOWNER", "export": "CHOWN DAC_OVERRIDE FOWNER"}
	all := services(t)
	if len(all) != 8 {
		t.Errorf("found %d services", len(all))
	}
	for name, s := range all {
		if !s.ReadOnly || strings.Join(s.CapDrop, " ") != "ALL" || strings.Join(s.Security, " ") != "no-new-privileges:true" || strings.Join(s.CapAdd, " ") != caps[name] {
			t.Errorf("%s: read_only %v, cap_drop %v, cap_add %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.CapAdd, s.Security)
		}
		if s.Restart == "unless-stopped" && (s.MemLimit == nil || s.PidsLimit == nil) {
			t.Errorf("%s runs on without a limit of memory and processes", name)
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)passw|token|secret`).MatchString(key) && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s: %s is no file of secrets", name, key)
			}
		}
		if regexp.MustCompile(`(?i)passw|secret_`).MatchString(strings.Join(s.Command, " ")) {
			t.Errorf("%s: a secret on the command line: %q", name, s.Command)
		}
	}
	for name, user := range map[string]string{"collector": "", "grafana": "472:65532", "mosquitto": "1883:1883", "dashboards": "472:65532"} { // the collector's is in its image
		if all[name].User != user {
			t.Errorf("%s runs as %q", name, all[name].User)
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), "\nUSER 65532:65532\n") {
		t.Error("the image runs as root")
	}
	for _, name := range []string{"influxdb", "collector", "grafana"} {
		if all[name].Healthcheck == nil {
			t.Errorf("%s has no health check", name)
		}
	}
	if len(all["influxdb"].Ports) > 0 {
		t.Errorf("InfluxDB can be reached at %v", all["influxdb"].Ports)
	}
	for name, open := range map[string]string{"collector": `127.0.0.1:8080:8080/tcp {"published":8443,"target":8443} {"published":8883,"target":8883}`, "grafana": "127.0.0.1:3000:3000/tcp"} {
		var got []string
		for _, p := range all[name].Ports {
			text, ok := p.(string)
			if !ok {
				b, err := json.Marshal(p)
				if err != nil {
					t.Fatal(err)
				}
				text = string(b)
			}
			got = append(got, text)
		}
		for _, want := range strings.Fields(open) {
			if !strings.Contains(strings.Join(got, " "), want) || len(got) != len(strings.Fields(open)) {
				t.Errorf("%s is open at %q, want %s", name, got, open)
			}
		}
	}
}

func TestEachCommandAndFlagOfTheFileAndThePagesIsOneOfTheProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "nabz-collector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/nabz-collector").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pages := map[string]string{} // by command; "": there is none
	page := func(words []string) string {
		name := strings.Join(words, " ")
		if _, asked := pages[name]; !asked {
			out, err := exec.CommandContext(t.Context(), program, append(slices.Clone(words), "--help")...).Output()
			if pages[name] = string(out); err != nil || !strings.HasPrefix(pages[name], "NAME\n  nabz-collector "+name) {
				pages[name] = ""
			}
		}
		return pages[name]
	}
	n := 0
	text := read(t, "compose.yaml") + read(t, "README.md") + read(t, "../docs/operator.md") + read(t, "../docs/debian.md")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, m := range regexp.MustCompile(`(?m)(?:command: \[|CMD, /usr/bin/nabz-collector, |nabz-collector )([a-z][^#`+"`"+`\n]*)`).FindAllStringSubmatch(text, -1) {
		words := regexp.MustCompile(`[ ,\]]+`).Split(m[1], -1)
		manual := page(words[:1])
		if len(words) > 1 && page(words[:2]) != "" {
			manual = page(words[:2])
		}
		for _, word := range words {
			flag, _, _ := strings.Cut(word, "=")
			if !strings.HasPrefix(flag, "--") {
				continue
			}
			if n++; !strings.Contains(manual, "\n  "+flag) {
				t.Errorf("%s is no flag of it: nabz-collector %s", flag, m[1])
			}
		}
	}
	if n < 25 {
		t.Errorf("found %d flags", n)
	}
}
