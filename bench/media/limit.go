package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"
)

const (
	limitStep   = 100 // subscribers that each step brings
	limitMost   = 1000
	limitWindow = 4 * time.Second
	limitSettle = time.Second
	limitDelay  = 100 * time.Millisecond
)

// Limit is how many subscribers of one 720p publisher a server bore.
type Limit struct {
	Server      string `json:"server"`
	Subscribers int    `json:"subscribers"` // of the last good step
	Good        Result `json:"good"`
	Why         string `json:"why"` // the next step was none
}

// FindLimit brings subscribers in, step by step, until packets are lost or the
// slowest hundredth of them takes more than 100 ms.
func FindLimit(ctx context.Context, target Target, local netip.Addr, progress io.Writer) (Limit, error) {
	l := Limit{Server: target.Name}
	c, err := newCrowd(ctx, target, local)
	if err != nil {
		return l, err
	}
	defer c.close()
	for n := limitStep; n <= limitMost; n += limitStep {
		whole := Scenario{Name: "limit", Rooms: 1, Publishers: 1, Subscribers: n, Layer: "f", Speakers: 1}
		people := c.people(whole)
		if n > limitStep {
			people = people[1+n-limitStep:] // the others are in
		}
		if err := c.join(ctx, people); err != nil {
			l.Why = fmt.Sprintf("with %d: %v", n, err)
			return l, ctx.Err()
		}
		if err := c.flowing(ctx, n, n); err != nil {
			return l, err
		}
		if err := pause(ctx, limitSettle); err != nil {
			return l, err
		}
		r, err := c.measure(ctx, limitWindow)
		if err != nil {
			return l, err
		}
		r.Scenario, r.Wanted = whole, whole.streams()*2
		describe(progress, r)
		switch {
		case r.Streams < r.Wanted:
			l.Why = fmt.Sprintf("with %d: %d of %d streams flow", n, r.Streams, r.Wanted)
		case r.Lost() > 0:
			l.Why = fmt.Sprintf("with %d: %.3f %% lost", n, 100*r.Lost())
		case r.Delay.P99 > limitDelay:
			l.Why = fmt.Sprintf("with %d: delay p99 %s", n, short(r.Delay.P99))
		default:
			l.Subscribers, l.Good = n, r
			continue
		}
		return l, nil
	}
	l.Why = "no step past it was tried"
	return l, nil
}
