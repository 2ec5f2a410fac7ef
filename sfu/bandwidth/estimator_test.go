package bandwidth_test

import (
	"testing"
	"time"
)

func TestFindsTheLine(t *testing.T) {
	c := newCall(t, link{rate: constant(4e6), delay: 25 * time.Millisecond})
	c.run(10 * time.Second)
	if got := c.share(2*time.Second, 2); got < 1 {
		t.Errorf("the best layer flows %.0f %% of the time", got*100)
	}
}

func TestFallAndRecovery(t *testing.T) {
	const fall, rise = 10 * time.Second, 25 * time.Second
	c := newCall(t, link{rate: func(at time.Duration) float64 {
		if at > fall && at < rise {
			return 3e5
		}
		return 4e6
	}, delay: 25 * time.Millisecond})
	c.run(35 * time.Second)
	if took := c.since(rise, 2); took > 5*time.Second {
		t.Errorf("the best layer is back after %v", took)
	}
}
