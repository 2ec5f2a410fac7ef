package meeting

// The JSON shapes, for the tests that speak HTTP from outside.
type (
	MeetingView   = meetingView
	MeetingDetail = meetingDetail
)
