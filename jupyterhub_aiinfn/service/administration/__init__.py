"""The administrators' page: who runs what, stops with notice, announcements, and a record of every act."""
