package ndt7

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The frames here are made and read by hand, from RFC 6455, so that what the library takes for a frame is held against something else.

const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// byHand opens a WebSocket on a bare connection.
func byHand(t *testing.T, w *world, path, token string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", w.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "GET %s?client_library_name=by-hand&access_token=%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nSec-WebSocket-Key: DOdm+5/Cm3WwvhfcAlhJoQ==\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\nUpgrade: websocket\r\nUser-Agent: by-hand/1\r\n\r\n", path, token)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Protocol") != "net.measurementlab.ndt.v7" || res.Header.Get("Sec-WebSocket-Accept") != "Nhz+x95YebD6Uvd4nqPC2fomoUQ=" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	return conn, r
}

// frame reads one frame of a server: whole and not masked.
func frame(r io.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("frame % x is in parts, or masked", head)
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
	if err != nil || size > 1<<24 {
		return 0, nil, fmt.Errorf("frame of %d bytes: %v", size, err)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0f, payload, err
}

// masked makes a frame of a client.
func masked(op byte, payload []byte) []byte {
	b := []byte{0x80 | op, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	if op >= opClose {
		b = []byte{0x80 | op, 0x80 | byte(len(payload))}
	}
	key := []byte{1, 2, 3, 4}
	b = append(b, key...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// checkMeasurement holds a text message against the names of the protocol.
func checkMeasurement(t *testing.T, payload []byte, test string) (bytes int64, connection bool) {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	numbers := func(object string, names ...string) map[string]int64 {
		var got map[string]int64
		if err := json.Unmarshal(m[object], &got); err != nil {
			t.Fatalf("%s in %s: %v", object, payload, err)
		}
		if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, names) {
			t.Fatalf("%s has %v, want %v", object, have, names)
		}
		return got
	}
	app := numbers("AppInfo", "ElapsedTime", "NumBytes")
	if runtime.GOOS == "linux" {
		tcp := numbers("TCPInfo", "BusyTime", "BytesAcked", "BytesReceived", "BytesRetrans", "BytesSent", "ElapsedTime", "MinRTT", "RTT", "RTTVar", "RWndLimited", "SndBufLimited")
		if tcp["BytesReceived"] <= 0 || tcp["MinRTT"] <= 0 || tcp["ElapsedTime"] != app["ElapsedTime"] {
			t.Errorf("the kernel's numbers cannot be: %s", payload)
		}
	}
	if string(m["Origin"]) != `"server"` || string(m["Test"]) != `"`+test+`"` {
		t.Errorf("origin and test: %s", payload)
	}
	if c, ok := m["ConnectionInfo"]; ok {
		var ends map[string]string
		if err := json.Unmarshal(c, &ends); err != nil || len(ends) != 2 || ends["Client"] == "" || ends["Server"] == "" {
			t.Errorf("ConnectionInfo: %s", c)
		}
		connection = true
	}
	return app["NumBytes"], connection
}

func TestADownloadIsWhatTheProtocolSays(t *testing.T) {
	const long = 2 * time.Second // for a busy machine to come to its second measurement
	w := open(t, Config{Time: long, Bytes: 1 << 40})
	conn, r := byHand(t, w, down, w.token("router", "one"))
	_, _ = conn.Write(masked(opPing, []byte("are you there")))
	_, _ = conn.Write(masked(opText, []byte(`{"AppInfo":{"NumBytes":1}}`)))
	var sum int64
	var texts, connections, pongs int
	last := 0
	for {
		op, payload, err := frame(r)
		if err != nil {
			t.Fatal(err)
		}
		switch op {
		case opBinary:
			n := len(payload)
			if sum == 0 && n != 1<<13 || n&(n-1) != 0 || n < last || n > 1<<20 || n > 1<<13 && int64(n) > sum/8 {
				t.Fatalf("a message of %d bytes after one of %d, with %d sent", n, last, sum)
			}
			last = n
			sum += int64(n)
		case opText:
			texts++
			n, connection := checkMeasurement(t, payload, "download")
			if n != sum {
				t.Errorf("the server says that it has sent %d bytes, %d came", n, sum)
			}
			if connection {
				connections++
			}
		case opPong:
			pongs++
		case opClose:
			if code := binary.BigEndian.Uint16(payload); code != 1000 {
				t.Errorf("closed with code %d", code)
			}
			_, _ = conn.Write(masked(opClose, payload))
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("the server did not close TCP: %v", err)
			}
			if texts < 2 || texts > int(long/tellEvery)+1 || connections != 1 || pongs != 1 || last < 1<<16 {
				t.Errorf("%d measurements, %d told of the connection, %d pongs, the last message had %d bytes", texts, connections, pongs, last)
			}
			w.count("tests_total", 1, "download", endTime)
			return
		}
	}
}

func TestAnUploadIsWhatTheProtocolSays(t *testing.T) {
	const big = 1 << 24                                              // the largest that no end may refuse
	w := open(t, Config{Bytes: big + 1<<10, Time: 13 * time.Second}) // ends when all has come, however busy this machine is
	largest := masked(opBinary, make([]byte, big))
	conn, r := byHand(t, w, up, w.token("router", "one"))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(masked(opBinary, make([]byte, 1<<10)))
		_, _ = conn.Write(masked(opText, []byte("no measurement at all")))
		_, _ = conn.Write(masked(opBinary, nil))
		_, _ = conn.Write(largest)
	}()
	connections, counted := 0, int64(0)
	for {
		op, payload, err := frame(r)
		if err != nil {
			t.Fatal(err)
		}
		if op == opBinary {
			t.Fatal("the server sends binary messages in an upload")
		}
		if op == opText {
			n, connection := checkMeasurement(t, payload, "upload")
			counted = n
			if connection {
				connections++
			}
		}
		if op == opClose {
			<-sent
			_, _ = conn.Write(masked(opClose, payload))
			break
		}
	}
	if connections != 1 || counted != big+1<<10 {
		t.Errorf("%d told of the connection; %d bytes counted of %d", connections, counted, big+1<<10)
	}
	w.count("tests_total", 1, "upload", endBytes)
}
