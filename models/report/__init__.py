"""The report of an evaluation: pictures, contact sheets and one page that needs no network."""
