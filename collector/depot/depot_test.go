package depot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/internal/testneed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "nabz-agent_0.7.0_mips.ipk"

func sum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// shelf is a folder with a package, beside what must not leave it.
func shelf(t *testing.T) (dir string, content []byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "packages")
	content = bytes.Repeat([]byte("package "), 300_000)
	secret := filepath.Join(filepath.Dir(dir), "agents.toml")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{name: content, "notes.txt": []byte("notes"), ".hidden.deb": []byte("hidden"), "x.deb~": []byte("old")} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "link.deb")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.deb"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, content
}

func open(t *testing.T, dir string) *Depot {
	t.Helper()
	d, err := Open(dir, Pages{Help: "/help/field-engineer", Style: "/help/x.css"}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ask(d *Depot, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/packages/", nil)
	r.URL.Path = path
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestAPackageIsGivenAwayWithItsSum(t *testing.T) {
	dir, content := shelf(t)
	d := open(t, dir)
	if w := ask(d, Path+name); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("answers %d with %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(d, Path+sums); w.Body.String() != sum(content)+"  "+name+"\n" {
		t.Errorf("sums are %q", w.Body)
	}
	w := ask(d, Path)
	for _, want := range []string{`href="` + name + `"`, sum(content), "2.4 MB", `href="/help/field-engineer"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the list lacks %s:\n%s", want, w.Body)
		}
	}
	for _, not := range []string{"notes", "hidden", "link.deb", "folder.deb", "x.deb"} {
		if strings.Contains(w.Body.String(), not) {
			t.Errorf("the list has %s", not)
		}
	}
}

func TestNothingElseLeavesTheFolder(t *testing.T) {
	dir, _ := shelf(t)
	d := open(t, dir)
	for _, path := range []string{"notes.txt", ".hidden.deb", "x.deb~", "link.deb", "folder.deb", "folder.deb/", "../agents.toml", "%2e%2e/agents.toml", "./" + name, "/etc/passwd", "nabz-agent_0.7.0_mips.ipk/"} {
		if w := ask(d, Path+path); w.Code != http.StatusNotFound {
			t.Errorf("%s is answered with %d: %.60q", path, w.Code, w.Body)
		}
	}
}

func TestADownloadThatBrokeOffGoesOn(t *testing.T) {
	dir, content := shelf(t)
	d := open(t, dir)
	w := ask(d, Path+name, "Range", "bytes=1000000-")
	if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), content[1000000:]) {
		t.Errorf("answers %d with %d bytes", w.Code, w.Body.Len())
	}
	// After the package has become another one, the whole of it comes.
	tag := w.Header().Get("ETag")
	other := bytes.Repeat([]byte("another "), 300_000)
	if err := os.WriteFile(filepath.Join(dir, name), other, 0o644); err != nil {
		t.Fatal(err)
	}
	if w := ask(d, Path+name, "Range", "bytes=1000000-", "If-Range", tag); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), other) {
		t.Errorf("of another package it sends a part: %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestADamagedPackageIsNotGivenAway(t *testing.T) {
	dir, content := shelf(t)
	if err := os.WriteFile(filepath.Join(dir, sums), []byte(strings.ToUpper(sum(content))+" *"+name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	if w := ask(d, Path+name); w.Code != http.StatusOK {
		t.Fatalf("a whole package is answered with %d: %s", w.Code, w.Body)
	}
	if err := os.WriteFile(filepath.Join(dir, name), content[:1000], 0o644); err != nil { // copied in part
		t.Fatal(err)
	}
	if w := ask(d, Path+name); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "tell the operations centre") {
		t.Errorf("a damaged one is answered with %d: %.80q", w.Code, w.Body)
	}
	if w := ask(d, Path+sums); w.Body.Len() > 0 {
		t.Errorf("its sum is told: %q", w.Body)
	}
	if w := ask(d, Path); !strings.Contains(w.Body.String(), "it is not given away") || strings.Contains(w.Body.String(), "href=\""+name) {
		t.Errorf("the list says\n%s", w.Body)
	}
	items, err := d.Items()
	if err != nil || len(items) != 1 || !errors.Is(items[0].Err, ErrAltered) {
		t.Errorf("items %+v, %v", items, err)
	}
}

func TestWithoutAFolderNothingIsGivenAwayUntilThereIsOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "packages")
	d := open(t, dir)
	if w := ask(d, Path); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no packages are given away here") {
		t.Errorf("answers %d: %s", w.Code, w.Body)
	}
	if _, err := d.Items(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if w := ask(d, Path); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "There are none yet") {
		t.Errorf("answers %d: %s", w.Code, w.Body)
	}
}

func TestTooManyAtOnceAreAskedToWait(t *testing.T) {
	dir, _ := shelf(t)
	d := open(t, dir)
	for range atOnce {
		d.places <- struct{}{}
	}
	if w := ask(d, Path); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "30" {
		t.Errorf("answers %d", w.Code)
	}
	for range atOnce {
		<-d.places
	}
	var leaves []func()
	for range ofOne {
		leave, ok := d.enter(httptest.NewRequest(http.MethodGet, Path, nil))
		if !ok {
			t.Fatal("one address has fewer places than it may have")
		}
		leaves = append(leaves, leave)
	}
	if w := ask(d, Path); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one address that has its places is answered with %d", w.Code)
	}
	for _, leave := range leaves {
		leave()
	}
	if w := ask(d, Path); w.Code != http.StatusOK || len(d.here) > 0 {
		t.Errorf("with places left it answers %d; it remembers %v", w.Code, d.here)
	}
}

// TestASlowLinkGetsTheWholePackage fetches one for much longer than an answer may take elsewhere.
func TestASlowLinkGetsTheWholePackage(t *testing.T) {
	dir, _ := shelf(t)
	content := bytes.Repeat([]byte("a large package "), 1<<20)
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(open(t, dir))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET " + Path + name + " HTTP/1.1\r\nHost: noc\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	start, slow := time.Now(), time.NewTicker(10*time.Millisecond)
	defer slow.Stop()
	var got bytes.Buffer
	for {
		n, err := io.CopyN(&got, conn, 256<<10)
		if errors.Is(err, io.EOF) && n < 256<<10 {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		<-slow.C
	}
	if !bytes.HasSuffix(got.Bytes(), content) || time.Since(start) < 300*time.Millisecond {
		t.Errorf("%d bytes came in %v, want the %d of the package, and slowly", got.Len(), time.Since(start), len(content))
	}
}

// TestARouterFetchesItWithWhatItHas is what a field engineer types, with wget and sha256sum, over TLS whose authority the router does
// not know.
func TestARouterFetchesItWithWhatItHas(t *testing.T) {
	wget := testneed.Program(t, "wget", "apt-get install wget")
	dir, content := shelf(t)
	mux := http.NewServeMux()
	mux.Handle(Path, open(t, dir))
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	var err error
	if server.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	defer server.Close()
	at := t.TempDir()
	run := func(program string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Dir = at
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	if err := os.WriteFile(filepath.Join(at, name), content[:777_777], 0o644); err != nil { // it broke off
		t.Fatal(err)
	}
	run(wget, "-c", "--no-check-certificate", server.URL+Path+name)
	run(wget, "--no-check-certificate", server.URL+Path+sums)
	if out := run("sha256sum", "-c", sums); !strings.Contains(out, name+": OK") {
		t.Errorf("sha256sum says %q", out)
	}
}
