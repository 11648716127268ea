package speedtest

import (
	"crypto/rand"
	encoding "encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Sizes. The protocol's messages grow to 16 MiB, but neither reading nor writing needs one whole: a router has no memory to spare.
const (
	readBuffer   = 16 << 10
	lookBytes    = 64 << 10 // a download between two looks at what it has cost; far less than the socket has room for
	firstMessage = 8 << 10  // as the protocol begins
	lastMessage  = 64 << 10
	// goodbye is how long the server has to close after the time is over; the protocol wants it to be first.
	goodbye = 1500 * time.Millisecond
)

// flow is a test in one direction.
type flow struct {
	ws    *websocket.Conn
	m     *meter
	start time.Time
	limit int64       // what this connection may cost
	stop  atomic.Bool // the agent ends
	pongs chan []byte // an upload: the newest answer to a ping that the writer has not sent yet

	mu  sync.Mutex
	own estimate // by what we have read, or by what the server has acknowledged of what we sent
	far estimate // an upload, as the server counts it
}

// near tells whether the cap may be reached before an end takes effect. In a download that is what can still come in: what the socket has room
// for, and as much again, because the kernel may ask for more while we look the other way. In an upload it is an eighth for what is lost
// on the way and sent again.
func (f *flow) near(down bool) bool {
	if down {
		return f.m.used()+2*(room(f.m.Conn)+lookBytes) >= f.limit
	}
	return f.m.committed()+lastMessage >= f.limit-f.limit/8
}

// download reads until the server closes, or enough is known.
func (f *flow) download(r *Result) (End, error) {
	if err := f.ws.SetReadDeadline(f.start.Add(testMax)); err != nil {
		return EndFault, err
	}
	if f.stop.Load() { // before there was a deadline: that has replaced the one that ends all waiting
		return EndStop, errors.New("the agent ends")
	}
	buf := make([]byte, readBuffer)
	var bytes, looked int64
	if f.near(true) {
		return f.enough(EndBudget), nil
	}
	for {
		kind, msg, err := f.ws.NextReader()
		if err != nil {
			f.own.add(time.Since(f.start), bytes)
			return f.ended(err)
		}
		if kind == websocket.TextMessage {
			text, err := io.ReadAll(io.LimitReader(msg, maxText))
			if err != nil {
				return f.ended(err)
			}
			hear(text).path(r)
			continue
		}
		for err == nil {
			var n int
			n, err = msg.Read(buf)
			bytes += int64(n)
			took := time.Since(f.start)
			f.own.add(took, bytes)
			switch {
			case f.own.stable():
				return f.enough(EndStable), nil
			case bytes-looked >= lookBytes && f.near(true):
				return f.enough(EndBudget), nil
			case took > testMax:
				return f.enough(EndTime), nil
			}
			if bytes-looked >= lookBytes {
				looked = bytes
			}
		}
		if err != io.EOF {
			f.own.add(time.Since(f.start), bytes)
			return f.ended(err)
		}
	}
}

// enough ends hard: a close frame for who reads it, and a reset, so that no more is on its way than must be.
func (f *flow) enough(why End) End {
	f.m.bps.Store(int64(f.own.now()))
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = f.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(10*time.Millisecond)) // the reset says it too
	_ = f.m.end(true)
	return why
}

// ended tells what an error of the connection means.
func (f *flow) ended(err error) (End, error) {
	var c *websocket.CloseError
	took := time.Since(f.start)
	switch {
	case f.stop.Load():
		return EndStop, err
	case errors.As(err, &c) && c.Code == websocket.CloseNormalClosure:
		_ = f.m.SetReadDeadline(time.Now().Add(goodbye))
		_, _, _ = f.ws.NextReader() // the server closes TCP first; it need not keep our port in mind then
		if took < testTime-500*time.Millisecond {
			return EndServer, nil
		}
		return EndTime, nil
	case took >= testTime-500*time.Millisecond: // the protocol wants no test to fail for a rough end
		return EndTime, nil
	}
	return EndFault, err
}

// upload writes until the time is over, or enough is known. It watches from here, while others write and listen.
func (f *flow) upload(r *Result) (End, error) {
	var quit atomic.Bool
	f.pongs = make(chan []byte, 1)
	f.ws.SetPingHandler(f.pong)
	wrote, heard := make(chan error, 1), make(chan error, 1)
	go func() { wrote <- f.write(&quit) }()
	go func() { heard <- f.listen() }()
	end, err := f.watch(wrote, heard, &quit)
	f.kernel(r)
	quit.Store(true)
	_ = f.m.end(true) // where the server has not closed by now it will not
	<-wrote
	<-heard
	return end, err
}

// watch looks every 250 ms. What it takes out of a channel it puts back.
func (f *flow) watch(wrote, heard chan error, quit *atomic.Bool) (End, error) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	over := false
	for {
		select {
		case err := <-heard: // the server has closed
			heard <- err
			return f.ended(err)
		case err := <-wrote:
			wrote <- err
			if err != nil {
				return f.broken(heard, err)
			}
			if !over { // the writer stopped for the cap
				return EndBudget, nil
			}
			wrote = nil
		case <-tick.C:
		}
		took := time.Since(f.start)
		f.sample(took)
		switch {
		case f.stop.Load():
			return EndStop, errors.New("the agent ends")
		case f.settled():
			return EndStable, nil
		case f.m.committed() >= f.limit:
			return EndBudget, nil
		case took > testTime+goodbye:
			return EndTime, nil
		case took > testTime && !over:
			over = true
			quit.Store(true)
		}
	}
}

// broken waits a moment for what the server said before it closed, which made the writer fail.
func (f *flow) broken(heard chan error, err error) (End, error) {
	_ = f.m.SetReadDeadline(time.Now().Add(goodbye))
	e := <-heard
	heard <- e
	var c *websocket.CloseError
	if errors.As(e, &c) {
		err = e
	}
	return f.ended(err)
}

// write sends random bytes until quit, or until the cap is near. A message is framed once and sent many times, past the library, which
// would cut it into parts of its own buffer's size and mask each anew: that costs a small processor more than to send it. Pongs go between
// two messages.
func (f *flow) write(quit *atomic.Bool) error {
	conn := f.ws.NetConn()
	if err := conn.SetWriteDeadline(f.start.Add(testMax)); err != nil {
		return err
	}
	size, sent := firstMessage, int64(0)
	message := frame(size)
	for !quit.Load() {
		if f.near(false) {
			return nil
		}
		if size < lastMessage && int64(2*size) <= sent/16 {
			size *= 2
			message = frame(size)
		}
		if _, err := conn.Write(message); err != nil {
			return err
		}
		sent += int64(size)
		select {
		case pong := <-f.pongs:
			if _, err := conn.Write(pong); err != nil {
				return err
			}
		default:
		}
	}
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = f.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(goodbye)) // a server that closed first is fine
	return nil
}

// frame is a binary message of random bytes as a client sends it (RFC 6455, 5.2). Random bytes under a mask are random bytes, so they are not masked
// once more.
func frame(size int) []byte {
	const final, binary, masked, short, long = 0x80, 0x2, 0x80, 126, 127
	head := encoding.BigEndian.AppendUint16([]byte{final | binary, masked | short}, uint16(size))
	if size > math.MaxUint16 {
		head = encoding.BigEndian.AppendUint64([]byte{final | binary, masked | long}, uint64(size))
	}
	b := make([]byte, len(head)+4+size) // 4: the mask
	copy(b, head)
	_, _ = rand.Read(b[len(head):]) // never fails, by its documentation
	return b
}

// pong has the writer answer a ping; where two wait, the newer one is answered (RFC 6455, 5.5.3). To write from here would wait for the
// connection's lock, which on one processor the writer takes again and again, and the server's measurements would not be heard meanwhile.
func (f *flow) pong(data string) error {
	const final, pong, masked = 0x80, 0xA, 0x80
	b := append([]byte{final | pong, masked | byte(len(data)), 0, 0, 0, 0}, data...) // under a mask of zeros
	select {
	case <-f.pongs:
	default:
	}
	f.pongs <- b // there is room: nobody else puts any
	return nil
}

// listen takes the server's measurements until the connection ends. The error is never nil.
func (f *flow) listen() error {
	if err := f.ws.SetReadDeadline(f.start.Add(testMax)); err != nil {
		return err
	}
	for {
		kind, msg, err := f.ws.NextReader()
		if err != nil {
			return err
		}
		if kind != websocket.TextMessage {
			return errors.New("the server sends binary messages in an upload")
		}
		text, err := io.ReadAll(io.LimitReader(msg, maxText))
		if err != nil {
			return err
		}
		if at, n, ok := hear(text).received(); ok {
			f.mu.Lock()
			f.far.add(at, n)
			f.mu.Unlock()
		}
	}
}

// sample notes what the server's kernel has acknowledged; where ours does not tell, what it has taken from us.
func (f *flow) sample(took time.Duration) {
	n := f.m.written.Load()
	if k, ok := readKernel(f.m.Conn); ok && k.hasAcked {
		n = k.acked
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own.add(took, n)
}

// counted is the estimate to believe: the server's own, where it sends one.
func (f *flow) counted() *estimate {
	if f.far.result() > 0 {
		return &f.far
	}
	return &f.own
}

func (f *flow) settled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counted().stable()
}

// sent is the throughput of an upload.
func (f *flow) sent() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counted().result()
}

// kernel takes from our own kernel what the download has not told.
func (f *flow) kernel(r *Result) {
	k, ok := readKernel(f.m.Conn)
	if !ok {
		return
	}
	if r.MinRTT == 0 && k.minRTT > 0 {
		r.MinRTT = time.Duration(k.minRTT) * time.Microsecond
	}
	if r.SentBytes == 0 && k.hasSent {
		r.SentBytes, r.RetransBytes = k.sent, k.retrans
	}
}
