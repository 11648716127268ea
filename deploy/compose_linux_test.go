package deploy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// engine runs services of compose.yaml in a Debian machine, with systemd in the place of Docker: the image's folder is their root, and users, capabilities,
// volumes, secrets and commands are those of the file.
type engine struct {
	*noc
	services map[string]service
}

// build makes the image's folder by the commands of the Dockerfile itself, the compiler's run left out.
func (e *engine) build() {
	e.t.Helper()
	m := regexp.MustCompile(`(?s)\nRUN (mkdir .*?)\n\n`).FindStringSubmatch(read(e.t, "Dockerfile"))
	if m == nil {
		e.t.Fatal("the Dockerfile makes no folders")
	}
	e.Run("sh", "-ec", strings.ReplaceAll(m[1], "\\\n", ""))
	// systemd wants a name for each number.
	e.Run("sh", "-ec", "sed -i /^nabz-collector:/d /etc/passwd /etc/group; grep -v ^root: /out/etc/passwd >>/etc/passwd; grep -v ^root: /out/etc/group >>/etc/group; "+
		"echo broker:x:1883:1883::/:/none >>/etc/passwd; echo broker:x:1883: >>/etc/group")
	e.Run("sh", "-ec", "mkdir -p /out/usr/bin /out/proc /out/run/secrets && mv /usr/bin/nabz-collector /out/usr/bin/ && find /out/usr /out/etc -type d -exec chmod 755 {} +")
}

// volume is where a volume of the file is; a named one begins as the image has the folder, as Docker has it.
func (e *engine) volume(from, to string) string {
	e.t.Helper()
	if name, ok := strings.CutPrefix(from, "./"); ok {
		e.Run("sh", "-ec", "[ -e /srv/"+name+" ] || mkdir -p /srv/"+name)
		return "/srv/" + name
	}
	e.Run("sh", "-ec", fmt.Sprintf("[ -e /srv/volume-%s ] || cp -a /out%s /srv/volume-%s", from, to, from))
	return "/srv/volume-" + from
}

// unit is a service of the file as one of systemd's, that runs a program in its place.
func (e *engine) unit(name string, program ...string) string {
	e.t.Helper()
	s := e.services[name]
	user := s.User
	if user == "" {
		user = regexp.MustCompile(`(?m)^USER (\S+)$`).FindStringSubmatch(read(e.t, "Dockerfile"))[1]
	}
	uid, gid, _ := strings.Cut(user, ":")
	caps := ""
	for _, c := range s.CapAdd {
		caps += "CAP_" + c + " "
	}
	text := "[Service]\nRootDirectory=/out\nProtectSystem=strict\nMountAPIVFS=yes\nNoNewPrivileges=yes\nCapabilityBoundingSet=" + caps + "\nBindReadOnlyPaths=/etc/hosts /etc/resolv.conf\nUser=" + uid + "\nGroup=" + gid + "\n"
	for _, v := range s.Volumes {
		part := strings.Split(v, ":")
		bind := "BindPaths="
		if len(part) == 3 && part[2] == "ro" {
			bind = "BindReadOnlyPaths="
		} else {
			text += "ReadWritePaths=" + part[1] + "\n"
		}
		text += bind + e.volume(part[0], part[1]) + ":" + part[1] + "\n"
	}
	for _, one := range s.Secrets {
		name := one.(map[string]any)["source"].(string)
		text += "BindReadOnlyPaths=/srv/secrets/" + name + ":/run/secrets/" + name + "\n"
	}
	for key, value := range s.Environment {
		text += "Environment=" + strconv.Quote(key+"="+value) + "\n"
	}
	text += "ExecStart="
	for _, word := range program {
		text += strconv.Quote(strings.NewReplacer("%", "%%", "$", "$$").Replace(word)) + " "
	}
	return text + "\n"
}

// start is docker compose up for a service that runs on.
func (e *engine) start(name, text string) {
	e.t.Helper()
	e.Write("/run/systemd/system/"+name+".service", text, 0o644)
	e.Run("systemctl", "daemon-reload")
	e.Start(name)
}

// run is docker compose run --rm, and exec for a service that runs: a process with the service's rights, to its end.
func (e *engine) run(name string, command ...string) (string, error) {
	e.t.Helper()
	if command == nil {
		command = e.services[name].Command
	}
	text := e.unit(name, append([]string{"/usr/bin/nabz-collector"}, command...)...) + "Type=oneshot\nStandardOutput=truncate:/run/said\nStandardError=truncate:/run/complained\n"
	e.Write("/run/systemd/system/once.service", text, 0o644)
	e.Run("systemctl", "daemon-reload")
	out, err := e.Try("systemctl", "start", "once")
	if status := e.Status("once", "ExecMainStatus"); err != nil && (status == "0" || len(status) == 3) { // systemd's own
		e.t.Fatalf("%s %q: %s\n%s", name, command, out, e.Journal("--unit=once"))
	}
	said := e.Run("cat", "/run/said", "/run/complained")
	e.t.Logf("%s: %s\n%s", name, strings.Join(command, " "), said)
	return said, err
}

func (e *engine) must(name string, command ...string) string {
	e.t.Helper()
	out, err := e.run(name, command...)
	if err != nil {
		e.t.Fatalf("%s %q: %v\n%s", name, command, err, out)
	}
	return out
}

func (e *engine) check(want ...string) {
	e.t.Helper()
	said, _ := e.run("collector", "check") // with 3 where it warns
	for _, w := range append(want, "pass  data folder", "pass  test line", "pass  collector     runs") {
		if !strings.Contains(said, w) {
			e.t.Errorf("check does not say %q:\n%s", w, said)
		}
	}
	if strings.Contains(said, "FAIL") {
		e.t.Errorf("check fails:\n%s", said)
	}
}

func TestTheServicesOfComposeDoTheirWorkWithTheRightsThatTheyAreGiven(t *testing.T) {
	e := &engine{services: services(t)}
	e.noc = newNOC(t)
	for _, name := range []string{"influxdb", "mosquitto"} {
		e.Knows(name, "127.0.0.1")
	}
	e.Run("sh", "-ec", "apt-get install -q -y /root/nabz-collector_*.deb")
	e.build()

	e.layInfluxDB()
	settings := ""
	for key, value := range e.services["influxdb"].Environment {
		settings += key + "=" + value + "\n"
	}
	e.Write("/etc/default/influxdb", settings, 0o644)
	e.Run("systemctl", "start", "influxdb")
	health := e.services["influxdb"].Healthcheck.Test
	e.Until(time.Minute, "InfluxDB's health check", func() bool { _, err := e.Try(health[1], health[2:]...); return err == nil })

	e.Write("/srv/secrets/influx_admin", "admin:hard2guess\n", 0o600)
	said := e.must("init")
	if !strings.Contains(said, "InfluxDB's admin") || strings.Contains(said, "hard2guess") {
		t.Errorf("init says\n%s", said)
	}
	before := e.Run("sh", "-c", "sha256sum /srv/nabz/collector.toml /srv/nabz/tls/*")
	e.must("init") // as at each start
	if after := e.Run("sh", "-c", "sha256sum /srv/nabz/collector.toml /srv/nabz/tls/*"); after != before {
		t.Errorf("a second start changes\n%s%s", before, after)
	}

	e.start("collector", e.unit("collector", append([]string{"/usr/bin/nabz-collector"}, e.services["collector"].Command...)...))
	e.Until(time.Minute, "the collector's health check", func() bool {
		_, err := e.run("collector", e.services["collector"].Healthcheck.Test[2:]...)
		return err == nil
	})
	if status := e.Run("sh", "-c", "grep -E '^(Uid|Gid|CapEff|CapBnd|NoNewPrivs):' /proc/"+e.Status("collector", "MainPID")+"/status"); !strings.Contains(status, "Uid:\t65532\t65532") ||
		!strings.Contains(status, "CapEff:\t0000000000000000") || !strings.Contains(status, "CapBnd:\t0000000000000000") || !strings.Contains(status, "NoNewPrivs:\t1") {
		t.Errorf("the collector runs as\n%s", status)
	}
	e.must("collector", "user", "add", "aisha", "--role", "operator", "--generate")
	e.must("init", "site", "add", "gokina", "--name", "Gokina", "--time-zone", "Asia/Karachi")
	e.must("collector", "agent", "add", "gokina/main")
	e.check("pass  broker        :8883 answers with TLS 1.3, and refuses", "pass  board         https://127.0.0.1:8080 answers, and asks who comes", "pass  users         1 may sign in", "pass  sites", "pass  agents")
	if out, err := e.Try("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "cat", "/srv/nabz/tls/ca.key"); err == nil || !strings.Contains(out, "Permission denied") {
		t.Errorf("the collector's user reads the authority's key: %v", err)
	}
	if said := e.must("renew"); !strings.Contains(said, "nothing to renew") {
		t.Errorf("renew says %s", said)
	}

	e.must("dashboards")
	for _, file := range []string{"provisioning/datasources/nabz.yaml", "provisioning/dashboards/nabz/nabz-site.json", "nabz-influx-token"} {
		e.Run("setpriv", "--reuid=472", "--regid=65532", "--clear-groups", "cat", "/srv/volume-grafana-nabz/"+file)
	}
	source := e.Read("/srv/volume-grafana-nabz/provisioning/datasources/nabz.yaml")
	if !strings.Contains(source, `url: "http://influxdb:8086"`) || !strings.Contains(source, "$__file{/var/lib/nabz-grafana/nabz-influx-token}") {
		t.Errorf("Grafana is told\n%s", source)
	}
	e.mosquitto()
}

// mosquitto takes the steps of the page for a Mosquitto.
func (e *engine) mosquitto() {
	e.t.Helper()
	e.fromDebian("mosquitto")
	e.Run("systemctl", "stop", "mosquitto")
	e.must("init", "init", "--host", "mosquitto")
	e.Run("sh", "-ec", "cd /srv; install -d -o 1883 -g 1883 -m 750 mosquitto; install -o 1883 -g 1883 -m 640 nabz/tls/server.pem nabz/tls/server.key mosquitto/")
	e.must("export")
	for _, b := range blocks(e.t, "README.md") {
		if b.kind == "toml" {
			name, keys, _ := strings.Cut(b.text, "\n")
			e.set(filepath.Join("/srv", strings.TrimPrefix(name, "# ")), keys)
		}
	}
	e.Run("sh", "-ec", "mkdir -p /mosquitto/nabz /mosquitto/data; chown 1883:1883 /mosquitto/data")
	e.Write("/mosquitto/nabz.conf", read(e.t, "mosquitto.conf"), 0o644)
	command := e.services["mosquitto"].Command
	e.Run("systemctl", "stop", "collector") // which has port 8883
	e.start("broker", "[Service]\nUser=1883\nGroup=1883\nProtectSystem=strict\nReadWritePaths=/mosquitto/data\nNoNewPrivileges=yes\nCapabilityBoundingSet=\nBindReadOnlyPaths=/srv/mosquitto:/mosquitto/nabz\nExecStart=/usr/sbin/"+strings.Join(command, " ")+"\n")
	e.start("collector", e.unit("collector", append([]string{"/usr/bin/nabz-collector"}, e.services["collector"].Command...)...))
	e.Until(time.Minute, "the collector's health check", func() bool { _, err := e.run("collector", "check", "--ready"); return err == nil })
	e.check("pass  broker        mosquitto:8884 answers with TLS 1.3, lets \"nabz-collector\" in", "pass  agents' door  noc.example.org:8883")
}
