package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
)

// fill publishes every agent's batches over one connection, which a broker has to allow: the first ones at once, the rest when told to. Nobody's answer is waited
// for but the broker's, that it has read all.
func fill(ctx context.Context, p Plan, begin <-chan struct{}, r *reporter) error {
	frames, err := p.frames()
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	in, out := bufio.NewReader(c), bufio.NewWriterSize(c, 256<<10)
	hello := text(append(text(packet(nil, 0x10, 10+2+4), "MQTT"), 4, 2, 0, 0), "fill")
	if err := talk(in, out, hello, 4); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	publish := func(from, to int) error {
		for k := from; k < to; k++ {
			for a := range frames {
				if _, err := out.Write(frames[a][k]); err != nil {
					return err
				}
			}
		}
		return talk(in, out, []byte{0xc0, 0}, 2) // it answers a ping when it has read what came before
	}
	if err := publish(0, p.First); err != nil {
		return err
	}
	r.tell(Status{Ready: true})
	select {
	case <-begin:
	case <-ctx.Done():
		return nil
	}
	if err := publish(p.First, p.Batches); err != nil {
		return err
	}
	r.tell(Status{Ready: true, Done: true, Sent: int64(p.Agents * p.Batches)})
	<-ctx.Done()
	return nil
}

// talk sends a packet and waits for an answer of so many bytes.
func talk(in *bufio.Reader, out *bufio.Writer, packet []byte, answer int) error {
	if _, err := out.Write(packet); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for range answer {
		if _, err := in.ReadByte(); err != nil {
			return err
		}
	}
	return nil
}
