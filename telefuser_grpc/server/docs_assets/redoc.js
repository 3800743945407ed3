// Shows the document in ReDoc. Its fonts are the system's: nothing comes from another host.
const fonts = "system-ui, sans-serif";

Redoc.init(
  "/openapi.json",
  {
    scrollYOffset: 0,
    theme: { typography: { fontFamily: fonts, headings: { fontFamily: fonts } } },
  },
  document.getElementById("redoc"),
);
