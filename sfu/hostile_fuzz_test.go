package sfu

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v5/packetio"
)

// FuzzReports hands a connection compound RTCP (RFC 3550, 6.1) as Pion does:
// packet by packet, to each stream that one speaks of. Nothing of it may end
// the process, or have more sent again than is allowed.
func FuzzReports(f *testing.F) {
	marshal := func(packets ...rtcp.Packet) {
		b, err := rtcp.Marshal(packets)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	marshal(&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 7, FractionLost: 255, TotalLost: 1<<24 - 1, LastSequenceNumber: 1 << 31}, {SSRC: 8}}},
		&rtcp.TransportLayerNack{MediaSSRC: 7, Nacks: []rtcp.NackPair{{PacketID: 0, LostPackets: 0xFFFF}, {PacketID: 65530, LostPackets: 0xFFFF}}})
	marshal(&rtcp.SenderReport{SSRC: 9, NTPTime: 1 << 63, Reports: []rtcp.ReceptionReport{{SSRC: 7}}}, &rtcp.PictureLossIndication{MediaSSRC: 7})
	marshal(&rtcp.Goodbye{Sources: []uint32{7, 8, 9, 1, 2, 3, 4, 5}, Reason: "so long"})
	marshal(&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e30, SSRCs: []uint32{7, 8, 9}})
	marshal(&rtcp.FullIntraRequest{SenderSSRC: 1, MediaSSRC: 7, FIR: []rtcp.FIREntry{{SSRC: 7, SequenceNumber: 1}}})
	marshal(&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 7, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}})
	marshal(&rtcp.ExtendedReport{SenderSSRC: 1, Reports: []rtcp.ReportBlock{&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: 7}}}, &rtcp.ReceiverReferenceTimeReportBlock{}}})
	marshal(&rtcp.TransportLayerCC{Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 5}, SenderSSRC: 1, MediaSSRC: 7, PacketStatusCount: 1,
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 1}},
		RecvDeltas:   []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250}}})
	f.Add([]byte{0x80, 0, 0, 0, 0x8F, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0})
	s, l, _ := incoming(f)
	d := (*l.track.subs.Load())[0]
	out := &sink{}
	d.writer, d.out = out, outStream{ssrc: 7, pt: 96, rtxSSRC: 8, rtxPT: 97, twccID: testTWCC}
	s.send(7, d)
	s.send(8, d)
	in := s.buffer(packetio.RTPBufferPacket, 9)
	s.bind(l)
	for seq := range uint16(400) { // something to ask for
		write(f, in, video(f, 9, 96, seq, key, map[uint8][]byte{testTWCC: binary.BigEndian.AppendUint16(nil, seq)}))
	}
	var packets []rtcp.RawPacket
	var of []uint32
	begun := time.Now()
	f.Fuzz(func(t *testing.T, raw []byte) {
		var err error
		if packets, err = rtcp.AppendRawPackets(packets[:0], raw); err != nil {
			return
		}
		for _, p := range packets {
			if of, err = p.ParseDestinationSSRC(of[:0]); err != nil {
				continue
			}
			for _, ssrc := range of[:min(len(of), 100)] {
				w := s.buffer(packetio.RTCPBufferPacket, ssrc)
				write(t, w, p)
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if most := 400 + resendsASec*(2+int(time.Since(begun).Seconds())); out.packets > most {
			t.Errorf("%d packets are sent again in %v", out.packets-400, time.Since(begun))
		}
	})
}

// FuzzArrivals numbers a publisher's packets at will, in the header extension
// from which its feedback is made: each report stays small, whatever it says.
func FuzzArrivals(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x80, 0, 0xFF, 0xFF, 0, 0})
	f.Add([]byte{0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0x7F, 0xFE})
	var at time.Duration
	f.Fuzz(func(t *testing.T, numbers []byte) {
		b := newFeedback()
		for i := 0; i+2 <= len(numbers); i += 2 {
			at += time.Duration(numbers[i]) * time.Microsecond
			b.received(9, binary.BigEndian.Uint16(numbers[i:]), int64(at))
			if i%64 != 0 {
				continue
			}
			size := 0
			for _, p := range b.build() {
				raw, err := p.Marshal()
				if err != nil {
					t.Fatalf("feedback that cannot be written: %v", err)
				}
				size += len(raw)
			}
			if size > 16<<10 {
				t.Fatalf("feedback of %d bytes", size)
			}
		}
	})
}
