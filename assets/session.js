/* A session that has ended (idle, signed out elsewhere, rights changed) answers Dash with 401: go and sign in again,
   and come back to this address afterwards. */
(function () {
  "use strict";
  var plain = window.fetch;
  window.fetch = function () {
    return plain.apply(this, arguments).then(function (response) {
      if (response.status === 401 && new URL(response.url).pathname.indexOf("/_dash-") !== -1) {
        var here = window.location.pathname + window.location.search;
        window.location.assign("/login?next=" + encodeURIComponent(here));
      }
      return response;
    });
  };
})();
