"""What people look at: charts, piano rolls, plots, HTML for notebooks and the page."""
