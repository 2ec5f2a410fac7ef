package directory

// The JSON shapes, for the tests that speak HTTP from outside.
type (
	DirectoryPerson  = directoryPerson
	DirectorySession = directorySession
	DirectoryCard    = directoryCard
	DirectoryAgency  = directoryAgency
	DirectoryUnit    = directoryUnit
)
