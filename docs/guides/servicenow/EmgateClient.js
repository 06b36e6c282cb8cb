// Script Include: tests a failover plan for a change request.
//
//   new EmgateClient().test('3f56fa52-c902-4655-9774-2022fde214d2', current.getValue('number'));
//
// System properties: emgate.url (https://dr.example), emgate.token (type password2).
var EmgateClient = Class.create();
EmgateClient.prototype = {
    initialize: function () {
        this.url = gs.getProperty('emgate.url');
        this.token = gs.getProperty('emgate.token');
    },

    // The operation that tests the plan. The change's number makes a repetition the same operation.
    test: function (planId, number) {
        return this._send('post', '/api/v1/cloud-failover-plans/' + planId + '/test', {
            key: 'servicenow-' + number,
            body: { metadata: { change: number } }
        });
    },

    // The operation as it is now; it is over in the states finished and unknown.
    read: function (operationId) {
        return this._send('get', '/api/v1/operations/' + operationId, {});
    },

    _send: function (method, path, what) {
        var message = new sn_ws.RESTMessageV2();
        message.setHttpMethod(method);
        message.setEndpoint(this.url + path);
        message.setHttpTimeout(60000);
        // Braces and dollars in the body stay what they are.
        message.disableForcedVariableSubstitution();
        message.setRequestHeader('Authorization', 'Bearer ' + this.token);
        if (what.key) {
            message.setRequestHeader('Idempotency-Key', what.key);
        }
        if (what.body) {
            message.setRequestHeader('Content-Type', 'application/json');
            message.setRequestBody(JSON.stringify(what.body));
        }
        var response = message.execute();
        var status = response.getStatusCode();
        if (status < 200 || status > 299) {
            var text = response.getBody();
            var problem = text ? JSON.parse(text) : { detail: response.getErrorMessage() };
            throw new Error('emgate ' + status + ': ' + problem.detail);
        }
        return JSON.parse(response.getBody());
    },

    type: 'EmgateClient'
};
