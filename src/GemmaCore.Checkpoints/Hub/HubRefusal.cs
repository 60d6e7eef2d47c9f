using System.Net;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>What a refused request was for, and the sentence for each way to refuse it.</summary>
internal sealed record HubRefusal(HubSettings Settings, string Root, string Repository, string Revision, string? File)
{
    private string Subject => File is null ? Repository : $"{Repository}: {File}";

    // With a token the question is whose it is and what it may; without one, that there is none.
    private string Identity => Settings.TokenSource is { } source ? $"the token from {source}" : "a request without a token";

    /// <summary>The exception for a response without success: an interruption when trying again makes sense.</summary>
    public Exception Of(HttpResponseMessage response)
    {
        int code = (int)response.StatusCode;
        return response.StatusCode switch
        {
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new CheckpointException(NoAccess(code, ErrorCode(response))),
            HttpStatusCode.NotFound => new CheckpointException(NotFound(ErrorCode(response))),
            HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests => new HubInterruption($"{Subject}: the hub is busy ({code})", RetryAfter(response)),
            >= HttpStatusCode.InternalServerError => new HubInterruption($"{Subject}: the hub has a failure of its own ({code})", RetryAfter(response)),
            _ => new CheckpointException($"{Subject}: the hub answers {code} {response.ReasonPhrase}, which is not expected here"),
        };
    }

    private string NoAccess(int code, string errorCode)
    {
        string terms = $"accept its terms on {Root}/{Repository}", settings = $"{Root}/settings/tokens";
        // 401 to a token means the token itself; the hub also says so when it hides a repository.
        if (Settings.Token is null)
            return $"{Subject}: the hub refuses {Identity} ({code}): the repository is gated, private or does not exist; {terms}, "
                + $"make a token on {settings} and set HF_TOKEN to it";
        if (code == 401 && errorCode != "GatedRepo")
            return $"{Subject}: the hub does not know {Identity} ({code}), or hides the repository from it; check the name, make a new token on {settings}";
        return $"{Subject}: the hub refuses {Identity} ({code}): {terms} as the token's owner, and let the token read gated repositories ({settings}); "
            + "another token is given by HF_TOKEN";
    }

    private string NotFound(string errorCode)
    {
        if (File is not null) return $"{Subject}: not found at commit {Revision} (404), although the hub lists it; try again later";
        return errorCode == "RevisionNotFound"
            ? $"{Repository} has no revision '{Revision}' (404); {Root}/{Repository}/tree/main lists its branches and tags"
            : $"{Root} has no model repository {Repository} (404) at revision '{Revision}'; check the spelling of ORG/NAME, and HF_TOKEN if it is private";
    }

    private static string ErrorCode(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-Error-Code", out IEnumerable<string>? values) ? values.First() : "";

    private static TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        TimeSpan? wait = response.Headers.RetryAfter?.Delta ?? response.Headers.RetryAfter?.Date - DateTimeOffset.UtcNow;
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }
}
