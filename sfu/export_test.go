package sfu

import "time"

// Tests have clocks of their own that begin with the year 2000 (testing/synctest),
// and times of the media path count from before.
func init() { clockBase = time.Unix(0, 0) }

// Settle waits until every room has ended and everybody's connections are
// closed.
func (s *SFU) Settle() { s.running.Wait() }

// RaceEnabled is whether the race detector watches.
const RaceEnabled = raceEnabled
