// Scripted REST resource (POST, "Requires authentication" on): writes the end of a failover into its change request.
//
// System property: emgate.secret (whsec_…, type password2).
(function process(request, response) {
    var id = request.getHeader('webhook-id');
    var timestamp = request.getHeader('webhook-timestamp');
    var body = request.body.dataString; // as it came: JSON that is written again has another signature
    var key = gs.getProperty('emgate.secret').replace('whsec_', '');
    var expected = 'v1,' + new GlideCertificateEncryption().generateMac(key, 'HmacSHA256', id + '.' + timestamp + '.' + body);
    // While a secret is being rotated there are two signatures.
    var given = String(request.getHeader('webhook-signature')).split(' ');
    var age = Math.abs(new Date().getTime() / 1000 - Number(timestamp)); // seconds
    if (given.indexOf(expected) < 0 || !(age < 300)) {
        response.setStatus(401);
        return;
    }

    var data = JSON.parse(body).data;
    var number = data.operation && data.operation.metadata.change;
    var change = new GlideRecord('change_request');
    // The event's id is in the work note: one that comes again writes nothing.
    if (number && change.get('number', number) && String(change.work_notes.getJournalEntry(-1)).indexOf(id) < 0) {
        var name = data.operation.plan.name;
        change.work_notes = name + ': ' + (data.operation.result || data.operation.state) + ' [' + id + ']';
        change.update();
    }
    response.setStatus(204);
})(request, response);
