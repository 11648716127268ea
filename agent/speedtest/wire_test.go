package speedtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The server here is made by hand, from the protocol's page and RFC 6455: one that does what ours does not, but may.

const (
	opMore   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// byHand answers one WebSocket after the other, each with the next of play, and hands over the requests; after the last it closes the channel.
func byHand(t *testing.T, play ...func(net.Conn, *bufio.Reader)) (url string, requests chan *http.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = make(chan *http.Request, len(play))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(requests)
		for _, p := range play {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			r := bufio.NewReader(conn)
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Error(err)
				conn.Close()
				return
			}
			requests <- req
			accept := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\nSec-WebSocket-Accept: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
				base64.StdEncoding.EncodeToString(accept[:]))
			p(conn, r)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String(), requests
}

// send writes a frame of a server; part: more of the message follows.
func send(w io.Writer, op byte, part bool, payload []byte) {
	b := []byte{0x80 | op, 127}
	if part {
		b[0] = op
	}
	if op >= opClose {
		b[1] = byte(len(payload))
	} else {
		b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	}
	_, _ = w.Write(append(b, payload...))
}

// take reads a frame of a client, which must be whole and masked.
func take(r io.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0x80 == 0 || head[1]&0x80 == 0 {
		return 0, nil, fmt.Errorf("frame % x is in parts, or not masked", head)
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(r, b[:])
		size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(r, b[:])
		size = binary.BigEndian.Uint64(b[:])
	}
	var key [4]byte
	if _, e := io.ReadFull(r, key[:]); err != nil || e != nil || size > 1<<24 {
		return 0, nil, fmt.Errorf("frame of %d bytes: %v %v", size, err, e)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return head[0] & 0x0f, payload, err
}

func goodbyeFrame() []byte { return binary.BigEndian.AppendUint16(nil, 1000) }

func anyServer(t *testing.T, url string) *Client {
	t.Helper()
	s, err := ParseServer(url+"/ndt/v7/download?access_token=of+another", true, false)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Server: s, Version: "1.2.3"}
}

func TestAnyNdt7ServerCanBeMeasuredAgainst(t *testing.T) {
	t.Parallel()
	var pong []byte
	sizes := map[int]int{}
	var binaries []int
	distinct := false
	url, requests := byHand(t,
		func(conn net.Conn, r *bufio.Reader) { // a download with the largest message, in parts, and all else that may come
			send(conn, opText, false, []byte(`{"ConnectionInfo":{"Client":"[::1]:2345","Server":"[::1]:443","UUID":"x"},"BBRInfo":{"BW":12}}`))
			send(conn, opText, false, []byte("no measurement at all"))
			send(conn, opText, false, bytes.Repeat([]byte("long "), 10_000))
			send(conn, opPing, false, []byte("are you there"))
			op, payload, err := take(r)
			if op != opPong || err != nil {
				t.Errorf("kind %d, %v; a pong is due", op, err)
			}
			pong = payload
			begin := time.Now() // the client's clock runs by now
			part := make([]byte, 1<<18)
			send(conn, opBinary, true, part)
			for time.Since(begin) < 1100*time.Millisecond { // more than a second, in which the client must give a figure
				send(conn, opMore, true, part)
				conn.(*net.TCPConn).SetNoDelay(true)
				<-time.After(20 * time.Millisecond)
			}
			send(conn, opMore, false, nil)
			send(conn, opText, false, []byte(`{"Origin":"server","Test":"download","TCPInfo":{"MinRTT":41500,"BytesSent":200000,"BytesRetrans":500,"Unknown":[1]}}`))
			send(conn, opClose, false, goodbyeFrame())
			for {
				op, _, err := take(r)
				if err != nil {
					return
				}
				if op == opBinary || op == opText {
					t.Errorf("the client sends a message of kind %d in a download", op)
				}
				if op == opClose {
					return
				}
			}
		},
		func(conn net.Conn, r *bufio.Reader) { // an upload whose measurements tell only what TCP has received
			begin, sum := time.Now(), int64(0)
			send(conn, opPing, false, []byte("and now"))
			next := begin
			for time.Since(begin) < 1500*time.Millisecond {
				op, payload, err := take(r)
				if err != nil {
					t.Error(err)
					return
				}
				if op == opPong {
					pong = append(pong, payload...)
				}
				if op != opBinary {
					continue
				}
				binaries = append(binaries, len(payload))
				sizes[len(payload)]++
				distinct = distinct || bytes.Count(payload, payload[:1]) < len(payload)/8
				sum += int64(len(payload))
				if now := time.Now(); now.After(next) {
					next = now.Add(100 * time.Millisecond)
					e := now.Sub(begin).Microseconds() // as if the link carried 8 Mbit/s
					send(conn, opText, false, fmt.Appendf(nil, `{"TCPInfo":{"BytesReceived":%d,"ElapsedTime":%d}}`, e, e))
				}
			}
			send(conn, opClose, false, goodbyeFrame())
			for { // what is on its way
				op, payload, err := take(r)
				if err != nil {
					return
				}
				if op == opPong {
					pong = append(pong, payload...)
				}
			}
		})
	r, err := anyServer(t, url).Test(t.Context(), 4<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/ndt/v7/download", "/ndt/v7/upload"} {
		req := <-requests
		if req.URL.Path != want || req.URL.Query().Get("access_token") != "of another" || req.Header.Get("User-Agent") != "nabz-agent/1.2.3" || req.Header.Get("Authorization") != "" ||
			req.Header.Get("Sec-WebSocket-Protocol") != "net.measurementlab.ndt.v7" {
			t.Errorf("%s: %s %v", want, req.URL, req.Header)
		}
	}
	for range requests { // the server has come to its end
	}
	if string(pong) != "are you thereand now" {
		t.Errorf("the pings were answered with %q", pong)
	}
	if r.DownBps <= 0 || r.DownEnd != EndServer || r.MinRTT != 41500*time.Microsecond || r.SentBytes != 200000 || r.RetransBytes != 500 {
		t.Errorf("download: %+v", r)
	}
	if r.UpBps < 7_900_000 || r.UpBps > 8_100_000 || r.UpEnd != EndServer {
		t.Errorf("upload: %+v; the server counted 8 Mbit/s", r)
	}
	if len(binaries) == 0 || binaries[0] != 1<<13 || !distinct {
		t.Errorf("messages of %v bytes; random: %v", sizes, distinct)
	}
	for n := range sizes {
		if n&(n-1) != 0 || n < 1<<13 || n > lastMessage {
			t.Errorf("a message of %d bytes", n)
		}
	}
}

func TestAServerThatBreaksOffFailsTheTest(t *testing.T) {
	t.Parallel()
	gone := func(conn net.Conn, _ *bufio.Reader) {
		send(conn, opBinary, false, make([]byte, 1<<13))
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	url, _ := byHand(t, gone, gone)
	r, err := anyServer(t, url).Test(context.Background(), 4<<20)
	if err == nil || !strings.Contains(err.Error(), "download from") || !strings.Contains(err.Error(), "upload to") || r.Measured() || r.UsedBytes < 1<<13 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestATestTakesLittleMemory counts what is allocated, all of it, as if it were never given back.
func TestATestTakesLittleMemory(t *testing.T) {
	chunk := make([]byte, 1<<20)
	url, _ := byHand(t,
		func(conn net.Conn, _ *bufio.Reader) {
			for range 64 {
				send(conn, opBinary, true, nil)
				b := binary.BigEndian.AppendUint64([]byte{0x80 | opMore, 127}, uint64(len(chunk)))
				_, _ = conn.Write(b)
				_, _ = conn.Write(chunk)
			}
			send(conn, opClose, false, goodbyeFrame())
		},
		func(conn net.Conn, r *bufio.Reader) {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, conn, chunk)
		})
	c := anyServer(t, url)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, _ := c.Test(t.Context(), 160<<20) // too fast to tell a throughput
	runtime.ReadMemStats(&after)
	all := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes allocated for %d on the wire", all, r.UsedBytes)
	if all > 2<<20 || r.UsedBytes < 16<<20 { // of 64: where this machine is so busy that it takes seconds, the test knows enough before the end
		t.Errorf("%d bytes allocated for %d on the wire; 2 MiB are allowed", all, r.UsedBytes)
	}
}

// The agent may end while a connection is made: the deadline of the test must not take the place of the one that ends all waiting.
func TestAnEndBeforeTheFirstByteEndsADownload(t *testing.T) {
	t.Parallel()
	url, _ := byHand(t, func(conn net.Conn, r *bufio.Reader) {
		send(conn, opBinary, false, make([]byte, 1<<13))
		send(conn, opClose, false, goodbyeFrame())
		_, _ = io.Copy(io.Discard, r)
	})
	ws, m, release, err := anyServer(t, url).open(t.Context(), &tally{}, "download", "")
	if err != nil {
		t.Fatal(err)
	}
	defer m.end(true)
	defer release()
	f := &flow{ws: ws, m: m, start: time.Now(), limit: 100 << 20}
	f.stop.Store(true)
	m.wake()
	if end, err := f.download(&Result{}); end != EndStop || err == nil || f.own.count > 0 {
		t.Errorf("%s %v, %d bytes read", end, err, f.own.count)
	}
}

// What hears the server must not wait for what writes: on one processor it would wait for as long as the test takes.
func TestAPongIsLeftToTheWriter(t *testing.T) {
	f := &flow{pongs: make(chan []byte, 1)} // without a connection that it could write to
	for _, ping := range []string{"one", "two"} {
		if err := f.pong(ping); err != nil {
			t.Fatal(err)
		}
	}
	if op, payload, err := take(bytes.NewReader(<-f.pongs)); op != opPong || string(payload) != "two" || err != nil {
		t.Errorf("%d %q %v, want the answer to the newer ping", op, payload, err)
	}
}
