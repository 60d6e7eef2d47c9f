using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/{id}</c>: the base and its adapters. Folders are nobody's business.</summary>
internal sealed class ModelsApi(ServedModel served)
{
    public Task ListAsync(HttpContext context) =>
        Reply.WriteAsync(context, new ModelList("list", [Card(served.Name), .. served.AdapterNames.Select(Card)]), WireJson.Default.ModelList);

    public Task GetAsync(HttpContext context)
    {
        string name = (string)context.Request.RouteValues["id"]!;
        served.RequireModel(name);
        return Reply.WriteAsync(context, Card(name), WireJson.Default.ModelCard);
    }

    private ModelCard Card(string name) => new(name, "model", served.Created, "gemmacore", name, name == served.Name ? null : served.Name, served.MaxLength, []);
}
