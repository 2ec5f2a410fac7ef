package bandwidth

import "time"

const (
	ackedBucket  = int64(20 * time.Millisecond)
	ackedBuckets = 25
	ackedWindow  = ackedBuckets // buckets: half a second
	ackedRecent  = 10           // the window by which a fall is measured
)

// ackedRate measures what arrives, by the receiver's clock, in a sliding window
// of buckets.
type ackedRate struct {
	bytes [ackedBuckets]uint32
	head  int64 // bucket number of the newest
	first int64 // and of the first there ever was
	any   bool
}

func (a *ackedRate) reset() { *a = ackedRate{} }

func (a *ackedRate) add(at int64, size int) {
	n := at / ackedBucket
	switch {
	case !a.any:
		a.any, a.head, a.first = true, n, n
	case n > a.head:
		for i := a.head + 1; i <= n && i <= a.head+ackedBuckets; i++ {
			a.bytes[index(i)] = 0
		}
		a.head = n
	case n <= a.head-ackedBuckets:
		return
	}
	a.bytes[index(n)] += uint32(size)
}

func index(n int64) int { return int((n%ackedBuckets + ackedBuckets) % ackedBuckets) }

// rate returns bits a second over the last buckets, 0 while too little is
// known.
func (a *ackedRate) rate(buckets int64) float64 {
	if !a.any {
		return 0
	}
	have := min(buckets, a.head-a.first)
	if have < min(buckets, ackedBuckets/3) {
		return 0
	}
	sum := uint64(0)
	// The newest bucket is still filling.
	for i := a.head - have; i < a.head; i++ {
		if i > a.head-ackedBuckets {
			sum += uint64(a.bytes[index(i)])
		}
	}
	have = min(have, ackedBuckets-1)
	return float64(sum) * 8 / (float64(have*ackedBucket) / float64(time.Second))
}
