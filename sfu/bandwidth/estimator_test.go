package bandwidth_test

import (
	"testing"
	"time"

	"commsd/sfu/bandwidth"
)

// The layers of these calls take 150, 500 and 2,000 kb/s, the sound 40.
func TestLines(t *testing.T) {
	const millisecond = time.Millisecond
	for _, c := range []struct {
		name  string
		link  link
		layer int           // that fits
		by    time.Duration // when it must flow
		share float64       // of the time from then on
		least float64       // estimate from then on, bits a second
		most  float64
	}{
		{"4 Mb/s", link{rate: constant(4e6), delay: 25 * millisecond}, 2, 2 * time.Second, 1, 2.4e6, 4.8e6},
		{"1 Mb/s", link{rate: constant(1e6), delay: 25 * millisecond}, 1, 2 * time.Second, 0.97, 5.4e5, 1.3e6},
		{"300 kb/s", link{rate: constant(3e5), delay: 25 * millisecond}, 0, 5 * time.Second, 0.97, 1.9e5, 4.5e5},
		{"1 % loss", link{rate: constant(4e6), delay: 25 * millisecond, loss: 0.01}, 2, 2 * time.Second, 1, 2.4e6, 4.8e6},
		{"5 % loss", link{rate: constant(4e6), delay: 25 * millisecond, loss: 0.05}, 2, 5 * time.Second, 0.9, 5e5, 4.8e6},
		{"10 % loss", link{rate: constant(4e6), delay: 25 * millisecond, loss: 0.1}, 2, 6 * time.Second, 0.75, 2e5, 4.8e6},
		{"50 ms each way", link{rate: constant(4e6), delay: 50 * millisecond}, 2, 2 * time.Second, 1, 2.4e6, 4.8e6},
		{"150 ms each way", link{rate: constant(4e6), delay: 150 * millisecond}, 2, 3 * time.Second, 1, 2.4e6, 4.8e6},
		{"300 ms each way", link{rate: constant(4e6), delay: 300 * millisecond}, 2, 5 * time.Second, 1, 2.4e6, 4.8e6},
		{"30 ms of jitter", link{rate: constant(4e6), delay: 50 * millisecond, jitter: 30 * millisecond}, 2, 6 * time.Second, 0.95, 1.5e6, 4.8e6},
		{"1 Mb/s, 30 ms of jitter", link{rate: constant(1e6), delay: 150 * millisecond, jitter: 30 * millisecond}, 1, 3 * time.Second, 0.8, 4e5, 1.5e6},
		{"1 Mb/s, policed", link{rate: constant(1e6), delay: 50 * millisecond, police: true}, 1, 3 * time.Second, 0.97, 5e5, 2.7e6},
		{"1 Mb/s, short queue", link{rate: constant(1e6), delay: 50 * millisecond, queue: 60 * millisecond}, 1, 3 * time.Second, 0.9, 4e5, 2e6},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(3) {
				call := newCall(t, c.link, seed)
				call.run(30 * time.Second)
				if got := call.share(c.by, c.layer); got < c.share {
					t.Errorf("layer %d flows %.0f %% of the time, want %.0f %%", c.layer, got*100, c.share*100)
				}
				for _, s := range call.history {
					if b := float64(s.estimate.Bitrate); s.at > c.by && (b < c.least || b > c.most) {
						t.Fatalf("after %v the estimate is %.0f kb/s, want %.0f to %.0f", s.at, b/1e3, c.least/1e3, c.most/1e3)
					}
				}
			}
		})
	}
}

// Both machines leave their work every few moments, and what they send and get
// is late by as much: that is no queue on the line, with or without padding that
// could show what the line carries.
func TestBusyMachines(t *testing.T) {
	const ms = time.Millisecond
	for _, away := range []busy{
		{every: 3 * ms, least: 5 * ms, most: 30 * ms},
		{every: 5 * ms, least: 5 * ms, most: 30 * ms},
		{every: 10 * ms, least: 5 * ms, most: 30 * ms},
		{every: 20 * ms, least: 5 * ms, most: 30 * ms},
		{every: 50 * ms, least: 5 * ms, most: 30 * ms},
		{every: 150 * ms, least: 5 * ms, most: 30 * ms},
		{every: 50 * ms, least: 10 * ms, most: 60 * ms},
	} {
		for seed := range uint64(8) {
			sender, receiver := away, away
			c := newCall(t, link{rate: constant(40e6), delay: ms, sender: &sender, receiver: &receiver}, seed)
			c.est = bandwidth.New(bandwidth.Config{Start: 3_000_000})
			c.bare = seed%2 == 0
			c.run(time.Minute)
			if got := c.share(2*time.Second, 2); got < 1 {
				t.Errorf("every %v for %v to %v, seed %d: the best layer flows %.0f %% of the time", away.every, away.least, away.most, seed, got*100)
			}
			for _, s := range c.history {
				if s.estimate.Bitrate < 2_100_000 {
					t.Errorf("every %v for %v to %v, seed %d: after %v the estimate is %d", away.every, away.least, away.most, seed, s.at, s.estimate.Bitrate)
					break
				}
			}
		}
	}
}

func TestFallAndRecovery(t *testing.T) {
	const fall, rise = 10 * time.Second, 25 * time.Second
	for _, at := range []struct {
		delay time.Duration
		burst float64
	}{{10 * time.Millisecond, 0}, {25 * time.Millisecond, 0}, {100 * time.Millisecond, 0}, {25 * time.Millisecond, 3000}} {
		// Where in the probing's rhythm the line changes must not matter.
		for shift := time.Duration(0); shift < 2*time.Second; shift += 130 * time.Millisecond {
			c := newCall(t, link{rate: func(now time.Duration) float64 {
				if now >= fall && now < rise+shift {
					return 3e5
				}
				return 4e6
			}, delay: at.delay, burst: at.burst}, 1)
			c.run(40 * time.Second)
			if took := c.since(rise+shift, 2); took > 4500*time.Millisecond {
				t.Errorf("%+v, %v: the best layer is back after %v", at, shift, took)
			}
			low, queue, n := 0.0, time.Duration(0), 0
			for _, s := range c.history {
				if s.at > fall+3*time.Second && s.at < rise {
					n++
					queue += s.queued
					if s.layer == 0 {
						low++
					}
				}
			}
			if low/float64(n) < 0.9 {
				t.Errorf("%+v, %v: at 300 kb/s the lowest layer flows %.0f %% of the time", at, shift, 100*low/float64(n))
			}
			if mean := queue / time.Duration(n); mean > 80*time.Millisecond {
				t.Errorf("%+v, %v: a queue of %v stands", at, shift, mean)
			}
		}
	}
}

// Somebody else's traffic takes most of the line for a while.
func TestCrossTraffic(t *testing.T) {
	const from, until = 10 * time.Second, 25 * time.Second
	c := newCall(t, link{rate: constant(4e6), delay: 50 * time.Millisecond}, 1)
	c.cross = func(at time.Duration) float64 {
		if at > from && at < until {
			return 3e6
		}
		return 0
	}
	c.run(35 * time.Second)
	fits := 0.0
	for _, s := range c.history {
		if s.at > from+2*time.Second && s.at < until && s.layer == 1 {
			fits += 0.1 / (until - from - 2*time.Second).Seconds()
		}
	}
	if fits < 0.9 {
		t.Errorf("the layer that fits beside the traffic flows %.0f %% of the time", fits*100)
	}
	if took := c.since(until, 2); took > 5*time.Second {
		t.Errorf("the best layer is back after %v", took)
	}
}

// The picture must not go up and down on a line that passes bursts of probes
// and no more.
func TestPolicedLineDoesNotFlap(t *testing.T) {
	c := newCall(t, link{rate: constant(1e6), delay: 50 * time.Millisecond, police: true}, 1)
	c.run(2 * time.Minute)
	rises := 0
	for i := 1; i < len(c.history); i++ {
		if c.history[i].layer > c.history[i-1].layer && c.history[i].at > 10*time.Second {
			rises++
		}
	}
	if rises > 9 {
		t.Errorf("in 110 s the picture got better %d times, and worse again", rises)
	}
}

func TestSilence(t *testing.T) {
	const from, until = 10 * time.Second, 20 * time.Second
	c := newCall(t, link{rate: constant(4e6), delay: 25 * time.Millisecond}, 1)
	c.quiet = func(at time.Duration) bool { return at > from && at < until }
	c.run(from + time.Second)
	if b := c.est.Estimate(int64(c.now)).Bitrate; b < 2e6 {
		t.Errorf("%d after a second without feedback", b)
	}
	c.run(until - c.now)
	if b := c.est.Estimate(int64(c.now)).Bitrate; b != 80_000 {
		t.Errorf("%d after ten seconds without feedback, want the floor", b)
	}
	c.run(10 * time.Second)
	if took := c.since(until, 2); took > 5*time.Second {
		t.Errorf("the best layer is back after %v", took)
	}
}

// Nothing is claimed of a receiver that never gives feedback, and little is
// remembered.
func TestNoFeedback(t *testing.T) {
	e := bandwidth.New(bandwidth.Config{Start: 700_000})
	for i := range int64(100_000) {
		e.Sent(i*int64(time.Millisecond), 1000, 0)
	}
	now := int64(100 * time.Second)
	if got := e.Estimate(now); got.Known || got.Bitrate != 700_000 {
		t.Errorf("%+v", got)
	}
	if p := e.Probe(now, 5_000_000); p != (bandwidth.Probe{}) {
		t.Errorf("probes without feedback: %+v", p)
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		cfg  bandwidth.Config
		want uint64
	}{
		{bandwidth.Config{}, 1_000_000},
		{bandwidth.Config{Start: 10}, 80_000},
		{bandwidth.Config{Start: 9e9}, 50_000_000},
		{bandwidth.Config{Floor: 3_000_000}, 3_000_000},
		{bandwidth.Config{Ceiling: 200_000}, 200_000},
	} {
		if got := bandwidth.New(c.cfg).Estimate(0).Bitrate; got != c.want {
			t.Errorf("%+v: starts at %d, want %d", c.cfg, got, c.want)
		}
	}
	c := newCall(t, link{rate: constant(9e6), delay: 25 * time.Millisecond}, 1)
	c.est = bandwidth.New(bandwidth.Config{Ceiling: 1_500_000})
	c.run(20 * time.Second)
	if got := c.est.Estimate(int64(c.now)).Bitrate; got > 1_500_000 || got < 600_000 {
		t.Errorf("%d with a ceiling of 1.5 Mb/s", got)
	}
}
