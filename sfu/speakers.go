package sfu

import (
	"math"
	"sync/atomic"
)

const (
	loudLevel   = 35  // -dBov (RFC 6464, 3): louder is speech
	loudShare   = 0.4 // of the packets, to count as speaking
	loudPackets = 3   // fewer tell nothing
)

// audioLevel sums the levels that an audio track's packets announce.
type audioLevel struct {
	packets, loud, sum atomic.Uint32
}

// add counts a packet of the given level, 0 the loudest and 127 silence.
func (a *audioLevel) add(level uint8) {
	a.packets.Add(1)
	if level <= loudLevel {
		a.loud.Add(1)
		a.sum.Add(uint32(level))
	}
}

// take returns how loud the track was since the last call, 0 for not speaking.
func (a *audioLevel) take() float32 {
	packets, loud, sum := a.packets.Swap(0), a.loud.Swap(0), a.sum.Swap(0)
	if packets < loudPackets || float64(loud) < loudShare*float64(packets) {
		return 0
	}
	return float32(math.Pow(10, -float64(sum)/float64(loud)/20))
}

// tellSpeakers tells everybody whose speaking changed.
func (r *room) tellSpeakers() {
	now := make(map[*Participant]Speaker)
	audio := false
	for _, t := range r.tracks {
		if t.info.Kind != Audio {
			continue
		}
		audio = true
		level := t.audio.take()
		if p := t.owner; !t.info.Muted && level > now[p].Level && !p.perm.Hidden {
			now[p] = Speaker{SID: p.sid, Level: level, Active: true}
		}
	}
	if !audio {
		r.speakers.Stop()
		r.speakers = nil
	}
	var changed []Speaker
	for p, s := range now {
		if was, ok := r.speaking[p]; !ok || math.Abs(float64(was.Level-s.Level)) > 0.05 {
			changed = append(changed, s)
		} else {
			now[p] = was // small changes add up before they are told
		}
	}
	for p := range r.speaking {
		if _, ok := now[p]; !ok {
			changed = append(changed, Speaker{SID: p.sid})
		}
	}
	r.speaking = now
	if len(changed) == 0 {
		return
	}
	told := EventSpeakers{Speakers: changed, Memo: &Memo{}}
	for _, p := range r.bySID {
		p.emit(told)
	}
}
