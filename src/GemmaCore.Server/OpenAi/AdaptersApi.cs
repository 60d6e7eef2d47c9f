using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary><c>POST /v1/load_lora_adapter</c> and <c>/v1/unload_lora_adapter</c>, as vLLM has them; there only when the server was given roots for adapters.</summary>
internal sealed class AdaptersApi(ServedModel served)
{
    public async Task LoadAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["lora_name", "lora_path"]);
        string name = Name(body["lora_name"]);
        string path = body["lora_path"].TextOrNull() ?? name;
        await served.LoadAdapterAsync(name, path).ConfigureAwait(false);
        await WriteAsync(context, $"Success: LoRA adapter '{name}' added successfully.").ConfigureAwait(false);
    }

    public async Task UnloadAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["lora_name"]);
        string name = Name(body["lora_name"]);
        served.UnloadAdapter(name);
        await WriteAsync(context, $"Success: LoRA adapter '{name}' removed successfully.").ConfigureAwait(false);
    }

    private static string Name(RequestField field)
    {
        string name = field.Required().Text();
        bool isPlain = name.Length is > 0 and <= 128 && name.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-');
        return isPlain ? name : throw field.Wrong("1 to 128 letters, digits, dots, _ or -");
    }

    private static Task WriteAsync(HttpContext context, string text)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }
}
